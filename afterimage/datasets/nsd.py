"""The Natural Scenes Dataset, from its raw release (design, betas, label volumes, pictures)."""

from collections.abc import Mapping, Set
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from afterimage.datasets import nsd_stimuli
from afterimage.datasets.interface import FileCheck, Voxels
from afterimage.datasets.nsd_betas import read_betas, session_file
from afterimage.datasets.nsd_design import (
    Design,
    compare_with_responses,
    read_design,
    trial_table,
)
from afterimage.datasets.nsd_regions import (
    coordinates,
    label_table,
    read_regions,
    region_volume,
    volume_place,
)
from afterimage.datasets.nsd_sessions import part_of, session_of, sessions_of, subject_number
from afterimage.datasets.regions import all_regions, area_of, unite
from afterimage.errors import InputError
from afterimage.needs import EVERYTHING

if TYPE_CHECKING:
    import pandas as pd

EXPERIMENT = "nsddata/experiments/nsd"


class NSD:
    """One NSD entry of the config, read from `root`, a copy of the bucket's own folder tree."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings
        self.root = Path(settings["root"]).expanduser()
        self.space = settings.get("space") or "func1pt8mm"
        self.version = settings.get("betas") or "betas_fithrf_GLMdenoise_RR"
        self.hemisphere = settings.get("hemisphere") or "both"
        if not self.space.startswith("func"):
            raise InputError("datasets: space", "a volume: func1pt8mm or func1mm", self.space)
        if self.hemisphere not in ("both", "left", "right"):
            raise InputError("datasets: hemisphere", "both, left or right", self.hemisphere)
        if (settings.get("text") or "captions") != "captions":
            raise InputError("datasets: text", "captions (NSD has nothing else)", settings["text"])
        self.design = cache(self._design)
        self.grid = cache(self._grid)

    @property
    def design_path(self) -> Path:
        """The experiment's design."""
        return self.root / EXPERIMENT / "nsd_expdesign.mat"

    @property
    def stimulus_table_path(self) -> Path:
        """The table that joins NSD's images with COCO's."""
        return self.root / EXPERIMENT / "nsd_stim_info_merged.csv"

    @property
    def stimuli_path(self) -> Path:
        """The pictures."""
        return self.root / nsd_stimuli.STIMULI / "nsd_stimuli.hdf5"

    def responses_path(self, subject: str) -> Path:
        """The subject's trials as they were run."""
        return self.root / "nsddata/ppdata" / subject / "behav/responses.tsv"

    def betas_path(self, subject: str, session: int) -> Path:
        """The betas of one session."""
        folder = self.root / "nsddata_betas/ppdata" / subject / self.space / self.version
        return session_file(folder, session)

    def sessions(self, subject: str) -> list[int]:
        """The subject's sessions that the config asks for."""
        return sessions_of(self.settings, subject)

    def _design(self, subject: str) -> Design:
        return read_design(
            self.design_path, subject_number(subject), self.settings.get("trials_per_session")
        )

    def trials_in_session(self, subject: str) -> int:
        """Number of trials in each session, from the design."""
        return int((self.design(subject).session == 1).sum())

    def first_volume(self, subject: str) -> Path:
        """The label volume that the others, and the betas, are compared with."""
        areas = list(self.settings["areas"].values())
        atlas = next(iter(areas[0]["regions"].values()))["atlas"]
        return region_volume(self.root, subject, self.space, atlas, self.hemisphere)[0]

    def _grid(self, subject: str) -> tuple[int, int, int]:
        return volume_place(self.first_volume(subject))[0]

    def trials(self, subject: str) -> "pd.DataFrame":
        """Trials from the design; `responses.tsv`, where there is one, must agree with it."""
        sessions = self.sessions(subject)
        table = trial_table(self.design(subject), sessions, [part_of(n) for n in sessions])
        if self.responses_path(subject).exists():
            compare_with_responses(self.responses_path(subject), self.design(subject), sessions)
        return table

    def voxels(self, subject: str, area: str) -> Voxels:
        """Voxels of an area; xyz in millimetres of the subject's functional space."""
        settings = area_of(self.settings, area)
        where = self.root, subject, self.space, self.hemisphere
        first = self.first_volume(subject)
        regions, grid, affine = read_regions(*where, settings["regions"], first)
        blame = f"datasets: areas: {area} of {subject}"
        index, roi, notes = unite(regions, blame, settings.get("expected_voxels"))
        return Voxels(index, roi, coordinates(index, grid, affine), notes)

    def betas(self, subject: str, part: str, rows: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Percent signal change; values at the end of int16's range are kept, and counted aloud."""
        path = self.betas_path(subject, session_of(part))
        betas, saturated = read_betas(
            path, self.trials_in_session(subject), self.grid(subject), rows, index
        )
        if saturated:
            print(f"{path.name}: {saturated} values of {betas.size} saturated (kept as they are)")
        return betas

    def image(self, image_id: str) -> np.ndarray:
        """The picture with a 0-based 73K id."""
        return nsd_stimuli.read_stimulus(self.stimuli_path, int(image_id))

    def captions(self, image_id: str) -> list[str]:
        """All of the picture's COCO captions."""
        found = self.all_captions.get(int(image_id))
        if not found:
            raise InputError(
                f"image {image_id}", "captions in COCO's files", "none", nsd_stimuli.FETCH_CAPTIONS
            )
        return list(found)

    @cached_property
    def all_captions(self) -> dict[int, list[str]]:
        """Captions of all pictures by 73K id."""
        paths = nsd_stimuli.caption_paths(self.root, self.settings.get("captions"))
        table = nsd_stimuli.read_stimulus_table(self.stimulus_table_path)
        return nsd_stimuli.read_captions(paths, table)

    def raw_files(self, subject: str) -> dict[str, list[Path]]:
        """Design and behaviour, label volumes and tables, sessions, pictures, captions."""
        captions = nsd_stimuli.caption_paths(self.root, self.settings.get("captions"))
        regions: list[Path] = []
        for atlas in sorted({region["atlas"] for region in all_regions(self.settings)}):
            regions += region_volume(self.root, subject, self.space, atlas, self.hemisphere)
            regions.append(label_table(self.root, subject, atlas))
        sessions = self.sessions(subject)
        return {
            "trials": [self.design_path, self.responses_path(subject)],
            "voxels": regions,
            "images": [self.stimuli_path],
            "captions": [self.stimulus_table_path, *captions],
            **{f"betas {part_of(n)}": [self.betas_path(subject, n)] for n in sessions},
        }

    def check(self, subject: str, needs: Set[str] = EVERYTHING) -> list[FileCheck]:
        """Every file that a run with these needs reads of this subject."""
        from afterimage.datasets.nsd_check import check_subject

        return check_subject(self, subject, needs)
