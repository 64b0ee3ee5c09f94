"""An area is the union of its regions; a voxel that several regions share counts once."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from afterimage.errors import InputError, closest

LACKING = "A subject without a region needs a dataset entry of its own that leaves it out."


def area_of(settings: Mapping[str, Any], area: str) -> Mapping[str, Any]:
    """The settings of `lower` or `higher`."""
    areas = settings.get("areas") or {}
    if area not in areas:
        raise InputError("datasets: areas", f"an area {area!r}", closest(area, list(areas)))
    return areas[area]


def all_regions(settings: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The regions of every area."""
    return [region for area in settings["areas"].values() for region in area["regions"].values()]


def unite(
    regions: Mapping[str, np.ndarray], where: object, expected: int | None = None
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Join regions in their order, each voxel under the first region that holds it.

    Parameters
    ----------
    regions : name -> (n,) int64 flat positions
    where : what to blame in an error
    expected : the number of voxels that a study reports, said beside the number found

    Returns
    -------
    index : (n_voxels,) int64
    roi : (n_voxels,) str
    notes : the count, the overlap and the expected count in words

    Raises
    ------
    InputError
        if a region holds no voxel
    """
    seen = np.array([], dtype=np.int64)
    chosen, names = [], []
    for name, positions in regions.items():
        positions = np.unique(np.asarray(positions, dtype=np.int64))
        if not len(positions):
            raise InputError(where, f"voxels in region {name}", "none", LACKING)
        new = np.setdiff1d(positions, seen, assume_unique=True)
        seen = np.union1d(seen, new)
        chosen.append(new)
        names.append(np.full(len(new), name))
    index, roi = np.concatenate(chosen), np.concatenate(names)
    total = sum(len(np.unique(positions)) for positions in regions.values())
    note = f"{len(index):,} voxels"
    if total > len(index):
        note += f" ({total:,} counted per region: {total - len(index):,} in more than one)"
    if expected is not None and expected != len(index):
        note += f"; the study of this config reports {expected:,}"
    return index, roi, (note,)
