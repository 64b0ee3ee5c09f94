"""A cheap look at every NSD file that a config needs, before anything heavy begins."""

from collections.abc import Set
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from afterimage.datasets import nsd_stimuli
from afterimage.datasets.interface import FileCheck, look, look_at_area, size_of
from afterimage.datasets.nsd_betas import describe_betas
from afterimage.datasets.nsd_design import compare_with_responses, require_sessions
from afterimage.datasets.nsd_fetch import COMMAND, REPLACE
from afterimage.datasets.nsd_nifti import axes
from afterimage.datasets.nsd_regions import (
    label_table,
    read_labels,
    region_volume,
    require_same_place,
    unknown_atlas,
)
from afterimage.datasets.nsd_values import look_at_sessions
from afterimage.datasets.regions import all_regions
from afterimage.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from afterimage.datasets.nsd import NSD

NOT_COMPARED = ", not compared"
"""Said of a file that would be compared with one that is missing or broken."""


def check_subject(data: "NSD", subject: str, needs: Set[str]) -> list[FileCheck]:
    """Look at the design and the pictures, and by need at label volumes, betas and captions.

    Files that other files are compared with come first; what would be compared with a broken one
    is looked at for itself alone, so that each fault is said once. The areas need the label
    volumes and tables alone: what is wrong with them is said before the betas are there.
    """
    design = _design(data, subject)
    design_is_well = design.status == "ok"
    checks = [design, _responses(data, subject, design_is_well)]
    if "betas" in needs:
        regions = _regions(data, subject)
        if all(check.status == "ok" for check in regions):
            regions += [look_at_area(data, subject, area) for area in data.settings["areas"]]
        grid_is_known = regions[0].status == "ok"
        checks += regions + _betas(data, subject, design_is_well and grid_is_known)
        if all(check.status == "ok" for check in checks if check.needed):
            most = data.settings.get("max_bad_voxels", 1.0)
            checks.append(look_at_sessions(data, subject, most))
    return checks + _stimuli(data, subject, design_is_well, "captions" in needs)


def _design(data: "NSD", subject: str) -> FileCheck:
    path = data.design_path

    def describe() -> str:
        require_sessions(data.design(subject), data.sessions(subject))
        trials = data.trials_in_session(subject)
        sessions = int(data.design(subject).session[-1])
        return f"{size_of(path)}, {sessions} sessions of {trials} trials"

    return look(path, describe, "the experiment's design", COMMAND)


def _responses(data: "NSD", subject: str, design_is_well: bool) -> FileCheck:
    path = data.responses_path(subject)

    def describe() -> str:
        if not design_is_well:
            return f"{size_of(path)}{NOT_COMPARED}"
        sessions = data.sessions(subject)
        said = compare_with_responses(path, data.design(subject), sessions)
        return f"{size_of(path)}, {said}"

    return look(path, describe, "the trials of the design", COMMAND, needed=False)


def _regions(data: "NSD", subject: str) -> list[FileCheck]:
    """Label volumes and tables; first the volume that the others are compared with."""
    regions = all_regions(data.settings)
    reference = data.first_volume(subject)
    checks: list[FileCheck] = []
    for atlas in dict.fromkeys(region["atlas"] for region in regions):
        remedy = COMMAND
        for path in region_volume(data.root, subject, data.space, atlas, data.hemisphere):
            remedy = unknown_atlas(path.parent, atlas) or COMMAND

            def describe(path: "Path" = path) -> str:
                labels, affine = read_labels(path)
                said = f"{size_of(path)}, {labels.shape}, labels up to {labels.max()}"
                if path == reference:
                    return said
                if checks[0].status != "ok":
                    return said + NOT_COMPARED
                require_same_place(path, labels.shape, affine, reference)
                return said

            checks.append(look(path, describe, "a label volume (x, y, z)", remedy))
        named = any(region["atlas"] == atlas and region.get("labels") for region in regions)
        if named and remedy == COMMAND:
            table = label_table(data.root, subject, atlas)
            checks.append(look(table, partial(size_of, table), "a label table", COMMAND))
    return checks


def _betas(data: "NSD", subject: str, shape_is_known: bool) -> list[FileCheck]:
    checks = []
    for session in data.sessions(subject):
        path = data.betas_path(subject, session)

        def describe(path: "Path" = path) -> str:
            if not shape_is_known:
                return f"{size_of(path)}{NOT_COMPARED}"
            grid, trials = data.grid(subject), data.trials_in_session(subject)
            said = describe_betas(path, trials, grid)
            if path.suffix != ".hdf5":
                _require_same_axes(path, data.first_volume(subject))
            return f"{size_of(path)}, {said}"

        expected = f"betas of session {session} (trials, z, y, x) int16"
        remedy = f"{COMMAND}, or set n_sessions if {subject} has fewer in your copy"
        checks.append(look(path, describe, expected, remedy))
    return checks


def _require_same_axes(path: "Path", volume: "Path") -> None:
    """Raise InputError if a session as NIfTI was turned or mirrored against the label volumes."""
    found, expected = axes(path), axes(volume)
    if found != expected:
        raise InputError(path, f"the axes {expected} of {volume.name}", found, REPLACE)


def _stimuli(
    data: "NSD", subject: str, design_is_well: bool, with_captions: bool
) -> list[FileCheck]:
    ids = np.array([0])
    if design_is_well:
        design = data.design(subject)
        ids = np.unique(design.image[np.isin(design.session, data.sessions(subject))])
    pictures, table = data.stimuli_path, data.stimulus_table_path

    def describe_table() -> str:
        rows = len(nsd_stimuli.read_stimulus_table(table))
        if design_is_well:
            nsd_stimuli.compare_with_design(table, data.design(subject).shared)
        return f"{size_of(table)}, {rows:,} images"

    checks = [
        look(
            pictures,
            lambda: f"{size_of(pictures)}, {nsd_stimuli.describe_stimuli(pictures, ids)}",
            "imgBrick (images, height, width, 3) uint8",
            COMMAND,
        )
    ]
    if not with_captions:
        return checks
    # The table joins NSD's images with COCO's captions, and serves for nothing else.
    checks.append(look(table, describe_table, "a row per image", COMMAND))
    for path in nsd_stimuli.caption_paths(data.root, data.settings.get("captions")):
        size = partial(size_of, path)
        checks.append(look(path, size, "COCO captions", nsd_stimuli.FETCH_CAPTIONS))
    if design_is_well and all(check.status == "ok" for check in checks[1:]):
        checks.append(_captions(data, subject, ids))
    return checks


def _captions(data: "NSD", subject: str, shown: np.ndarray) -> FileCheck:
    name, expected = f"{subject}: captions", "captions for every image that is used"
    try:
        counts = [len(data.captions(str(nsd_id))) for nsd_id in shown.tolist()]
    except InputError as error:
        return FileCheck(name, "bad", str(error), expected, error=error)
    return FileCheck(name, "ok", f"{sum(counts):,} captions of {len(shown):,} images", expected)
