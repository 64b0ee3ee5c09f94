"""THINGS-fMRI, from its released `betas_csv` folder, its pictures and its table of concepts."""

from collections.abc import Mapping, Set
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from afterimage.datasets.interface import FileCheck, Voxels
from afterimage.datasets.pictures import read_picture
from afterimage.datasets.regions import all_regions, area_of, unite
from afterimage.datasets.things_betas import read_responses
from afterimage.datasets.things_tables import (
    CEILING,
    COORDINATES,
    concept_text,
    locate,
    read_concepts,
    read_stimuli,
    read_voxel_header,
    read_voxels,
    require_subject,
)
from afterimage.errors import InputError
from afterimage.needs import EVERYTHING
from afterimage.splits import concept_of

if TYPE_CHECKING:
    import pandas as pd

TEXTS = ("definition", "concept", "concept_definition")


class Things:
    """One THINGS-fMRI entry of the config."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings
        self.root = Path(settings["root"]).expanduser()
        self.text = settings.get("text") or "definition"
        if self.text not in TEXTS:
            raise InputError("datasets: text", ", ".join(TEXTS), self.text)
        if (settings.get("hemisphere") or "both") != "both":
            raise InputError(
                "datasets: hemisphere", "both", settings["hemisphere"],
                "For THINGS choose a hemisphere by its columns, such as [lFFA].",
            )  # fmt: skip
        self.stimuli = cache(self._stimuli)
        self.voxel_table = cache(self._voxel_table)

    def path(self, subject: str, what: str) -> Path:
        """`{subject}_{what}` of `betas_csv`, wherever unpacking left it."""
        name = f"{subject}_{what}"
        return locate(self.root, [f"betas_csv/{name}", name, f"betas_csv/betas_csv/{name}"])

    @property
    def concepts_path(self) -> Path:
        """The table of concepts."""
        name = "things_concepts.tsv"
        return locate(self.root, [name, f"Metadata/{name}", f"THINGS/{name}"])

    @property
    def images_path(self) -> Path:
        """The folder with one folder of pictures per concept."""
        name = "object_images"
        places = [name, f"images/{name}", f"{name}/{name}", f"Images/{name}", f"THINGS/{name}"]
        return locate(self.root, places)

    def _stimuli(self, subject: str) -> "pd.DataFrame":
        return read_stimuli(self.path(subject, "StimulusMetadata.csv"), subject)

    def columns_wanted(self) -> list[str]:
        """Columns of VoxelMetadata that the config's regions name."""
        columns = [name for region in all_regions(self.settings) for name in region["columns"]]
        return list(dict.fromkeys(columns))

    def _voxel_table(self, subject: str) -> "pd.DataFrame":
        path = self.path(subject, "VoxelMetadata.csv")
        table = read_voxels(path, self.columns_wanted(), [*COORDINATES, CEILING])
        require_subject(path, table, subject)
        return table

    def trials(self, subject: str) -> "pd.DataFrame":
        """Trials of StimulusMetadata: its trial_id is both the order and the place in the file."""
        import pandas as pd

        table = self.stimuli(subject)
        return pd.DataFrame(
            {
                "trial": table["trial_id"],
                "session": table["session"],
                "run": table["run"],
                "part": "all",
                "row": table["trial_id"],
                "image_id": [Path(name).stem for name in table["stimulus"]],
                "official": table["trial_type"],
            }
        )

    def voxels(self, subject: str, area: str) -> Voxels:
        """Voxels of an area; xyz are voxel numbers. The released ceiling is said, never used."""
        settings = area_of(self.settings, area)
        table = self.voxel_table(subject)
        regions = {
            name: np.flatnonzero(table[region["columns"]].to_numpy().any(axis=1))
            for name, region in settings["regions"].items()
        }
        where = self.path(subject, "VoxelMetadata.csv")
        index, roi, notes = unite(regions, where, settings.get("expected_voxels"))
        xyz = table.reindex(columns=[*COORDINATES]).to_numpy(np.float32)[index]
        if CEILING in table:
            median = np.nanmedian(table[CEILING].to_numpy()[index])
            notes += (f"released {CEILING}: median {median:.1f} % (from test trials: not used)",)
        return Voxels(index, roi, xyz, notes)

    def betas(self, subject: str, part: str, rows: np.ndarray, index: np.ndarray) -> np.ndarray:
        """The released responses of some trials and voxels, as float32."""
        shape = len(self.voxel_table(subject)), len(self.stimuli(subject))
        return read_responses(self.path(subject, "ResponseData.h5"), shape, rows, index)

    def image_path(self, image_id: str) -> Path:
        """The picture's file: object_images/{concept}/{image_id}.jpg (or .png)."""
        folder = self.images_path / concept_of(image_id)
        there = [folder / f"{image_id}{ending}" for ending in (".jpg", ".jpeg", ".png")]
        return next((path for path in there if path.is_file()), there[0])

    def image(self, image_id: str) -> np.ndarray:
        """The picture of a file stem such as dog_12s."""
        return read_picture(self.image_path(image_id))

    @cached_property
    def concepts(self) -> "pd.DataFrame":
        """Word and definition of every concept, by uniqueID."""
        return read_concepts(self.concepts_path)

    def captions(self, image_id: str) -> list[str]:
        """One text: the concept's definition, its word, or both, as the config says."""
        concept = concept_of(image_id)
        if concept not in self.concepts.index:
            raise InputError(self.concepts_path, f"a concept with uniqueID {concept}", "none")
        return [concept_text(self.concepts.loc[concept], self.text)]

    def voxel_header(self, subject: str) -> list[str]:
        """Column names of VoxelMetadata."""
        return read_voxel_header(self.path(subject, "VoxelMetadata.csv"))

    def raw_files(self, subject: str) -> dict[str, list[Path]]:
        """The three files of betas_csv, the pictures and the table of concepts."""
        return {
            "trials": [self.path(subject, "StimulusMetadata.csv")],
            "voxels": [self.path(subject, "VoxelMetadata.csv")],
            "betas all": [self.path(subject, "ResponseData.h5")],
            "images": [self.images_path],
            "captions": [self.concepts_path],
        }

    def check(self, subject: str, needs: Set[str] = EVERYTHING) -> list[FileCheck]:
        """Every file that a run with these needs reads of this subject."""
        from afterimage.datasets.things_check import check_subject

        return check_subject(self, subject, needs)
