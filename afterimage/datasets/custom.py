"""Your own data: trials and voxels as tables, responses as one array, pictures and captions."""

from collections.abc import Mapping, Set
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from afterimage.datasets.custom_tables import (
    RESPONSES,
    read_captions,
    read_trials,
    read_voxels,
    responses_path,
    with_responses,
)
from afterimage.datasets.interface import (
    FileCheck,
    Voxels,
    look,
    look_at_area,
    look_at_values,
    size_of,
)
from afterimage.datasets.pictures import ENDINGS, look_at_pictures, read_picture
from afterimage.datasets.regions import all_regions, area_of, unite
from afterimage.errors import InputError
from afterimage.needs import EVERYTHING

if TYPE_CHECKING:
    import pandas as pd

LAYOUT = "docs/data.md says what the file must hold."
BLOCK_BYTES = 32 << 20


class Custom:
    """One entry of the config with `format: custom`."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings
        self.root = Path(settings["root"]).expanduser()
        if (settings.get("text") or "captions") != "captions":
            raise InputError("datasets: text", "captions (from captions.csv)", settings["text"])
        if (settings.get("hemisphere") or "both") != "both":
            raise InputError(
                "datasets: hemisphere", "both", settings["hemisphere"],
                "For your own data choose a hemisphere by its columns.",
            )  # fmt: skip
        self.trial_table = cache(self._trial_table)
        self.voxel_table = cache(self._voxel_table)

    def _trial_table(self, subject: str) -> "pd.DataFrame":
        return read_trials(self.root / subject / "trials.csv")

    def _voxel_table(self, subject: str) -> "pd.DataFrame":
        columns = [name for region in all_regions(self.settings) for name in region["columns"]]
        return read_voxels(self.root / subject / "voxels.csv", list(dict.fromkeys(columns)))

    def trials(self, subject: str) -> "pd.DataFrame":
        """Trials of trials.csv by their number; row i of the responses is row i of the table."""
        import pandas as pd

        table = self.trial_table(subject)
        trials = pd.DataFrame(
            {
                "trial": table["trial"],
                "session": table["session"],
                "run": table["run"],
                "part": "all",
                "row": np.arange(len(table), dtype=np.int64),
                "image_id": table["image_id"],
                "official": table["split"],
            }
        )
        return trials.sort_values("trial", ignore_index=True)

    def voxels(self, subject: str, area: str) -> Voxels:
        """Voxels of an area, by the 0/1 columns of voxels.csv."""
        settings = area_of(self.settings, area)
        table = self.voxel_table(subject)
        regions = {
            name: np.flatnonzero(table[region["columns"]].to_numpy().any(axis=1))
            for name, region in settings["regions"].items()
        }
        where = self.root / subject / "voxels.csv"
        index, roi, notes = unite(regions, where, settings.get("expected_voxels"))
        xyz = table.reindex(columns=["x", "y", "z"]).to_numpy(np.float32)[index]
        return Voxels(index, roi, xyz, notes)

    def betas(self, subject: str, part: str, rows: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Responses of some trials and voxels, in the units of the file."""
        path = responses_path(self.root / subject)
        shape = len(self.trial_table(subject)), len(self.voxel_table(subject))

        def pick(array) -> np.ndarray:
            picked = np.empty((len(rows), len(index)), dtype=np.float32)
            order = np.argsort(rows, kind="stable")
            step = max(1, BLOCK_BYTES // (8 * shape[1]))
            for first in range(0, len(rows), step):
                some = order[first : first + step]
                low, high = int(rows[some[0]]), int(rows[some[-1]]) + 1
                # Trials of one split lie close together: one slab, or one row at a time.
                if high - low <= 4 * len(some):
                    picked[some] = np.asarray(array[low:high])[rows[some] - low][:, index]
                else:
                    for each in some:
                        picked[each] = np.asarray(array[int(rows[each])])[index]
            return picked

        return with_responses(path, shape, pick)

    @cached_property
    def all_captions(self) -> dict[str, list[str]]:
        """Captions by image."""
        return read_captions(self.root / "captions.csv")

    def captions(self, image_id: str) -> list[str]:
        """The rows of captions.csv for an image."""
        if not self.all_captions.get(image_id):
            raise InputError(self.root / "captions.csv", f"a caption of image {image_id}", "none")
        return list(self.all_captions[image_id])

    def image_path(self, image_id: str) -> Path:
        """The picture's file: images/{image_id}.png, .jpg or .jpeg."""
        folder = self.root / "images"
        there = [folder / f"{image_id}{ending}" for ending in ENDINGS]
        found = [path for path in there if path.is_file()]
        if len(found) > 1:
            raise InputError(found[1], f"one picture of {image_id}", f"{found[0].name} as well")
        return found[0] if found else there[0]

    def image(self, image_id: str) -> np.ndarray:
        """The picture of an image id."""
        return read_picture(self.image_path(image_id))

    def raw_files(self, subject: str) -> dict[str, list[Path]]:
        """The subject's three files, the pictures and the captions."""
        folder = self.root / subject
        return {
            "trials": [folder / "trials.csv"],
            "voxels": [folder / "voxels.csv"],
            "betas all": [folder / name for name in RESPONSES],
            "images": [self.root / "images"],
            "captions": [self.root / "captions.csv"],
        }

    def check(self, subject: str, needs: Set[str] = EVERYTHING) -> list[FileCheck]:
        """Look at the trials and the pictures, and by need at voxels, responses and captions."""
        trials = self.root / subject / "trials.csv"
        checks = [
            look(trials, lambda: f"{len(self.trial_table(subject)):,} trials", "trials", LAYOUT)
        ]
        if "betas" in needs:
            checks += self._check_responses(subject, checks[0])
        if checks[0].status == "ok":
            checks += self._check_stimuli(subject, "captions" in needs)
        return checks

    def _check_responses(self, subject: str, trials: FileCheck) -> list[FileCheck]:
        voxels = self.root / subject / "voxels.csv"
        responses = responses_path(self.root / subject)

        def describe_responses() -> str:
            shape = len(self.trial_table(subject)), len(self.voxel_table(subject))
            said = with_responses(responses, shape, lambda array: f"{array.shape} {array.dtype}")
            return said if responses.is_dir() else f"{size_of(responses)}, {said}"

        checks = [
            look(voxels, lambda: f"{len(self.voxel_table(subject)):,} voxels", "voxels", LAYOUT)
        ]
        tables_are_well = trials.status == checks[0].status == "ok"
        described = describe_responses if tables_are_well else lambda: "not compared"
        checks.append(look(responses, described, "responses (trials, voxels)", LAYOUT))
        if checks[0].status == "ok":
            checks += [look_at_area(self, subject, area) for area in self.settings["areas"]]
        if all(check.status == "ok" for check in (trials, *checks)):
            most = self.settings.get("max_bad_voxels", 1.0)
            areas = self.settings["areas"]
            checks += [look_at_values(self, subject, area, most) for area in areas]
        return checks

    def _check_stimuli(self, subject: str, with_captions: bool) -> list[FileCheck]:
        shown = sorted(set(self.trial_table(subject)["image_id"]))

        def describe_captions() -> str:
            count = sum(len(self.captions(image_id)) for image_id in shown)
            return f"{count:,} captions of {len(shown):,} images"

        def describe_pictures() -> str:
            return look_at_pictures([self.image_path(image_id) for image_id in shown])

        captions, images = self.root / "captions.csv", self.root / "images"
        checks = [look(images, describe_pictures, "a picture of every image shown", LAYOUT)]
        if with_captions:
            expected = "captions of every image shown"
            checks.insert(0, look(captions, describe_captions, expected, LAYOUT))
        return checks
