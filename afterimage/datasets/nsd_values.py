"""A look at some values of every session: voxels without data, and sessions that are copies."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from afterimage.datasets.interface import FileCheck
from afterimage.datasets.nsd_betas import (
    SAMPLED_TRIALS,
    UNITS_PER_PERCENT,
    sample_betas,
    stored_betas,
)
from afterimage.datasets.nsd_fetch import REPLACE
from afterimage.errors import InputError

if TYPE_CHECKING:
    from afterimage.datasets.nsd import NSD

SAMPLED_VOXELS = 128
SMALLEST, LARGEST = 0.02, 30
"""Percent: median size of betas below or above which they are something else. NSD's are about 1."""

FEWEST_EQUAL = 3
"""Voxels whose first trials are equal in two sessions: so many are no chance."""

ALLOW = "If the release has no more there, raise responses.max_bad_voxels."


def look_at_sessions(data: "NSD", subject: str, most: float) -> FileCheck:
    """Read some voxels of both areas in every session and compare them.

    Where too many of them seem to be without data, all voxels of that session are read to be sure.

    Parameters
    ----------
    most : the share of an area's voxels without data that is not yet an error
    """
    name, expected = f"{subject}: some voxels of every session", "values in every session"
    try:
        areas = {area: data.voxels(subject, area).index for area in data.settings["areas"]}
        index = np.unique(np.concatenate(list(areas.values())))
        picked = np.linspace(0, len(index) - 1, min(SAMPLED_VOXELS, len(index))).astype(int)
        index = index[picked]
        seen: dict[tuple[int, bytes], Path] = {}
        n_empty = 0
        for session in data.sessions(subject):
            path = data.betas_path(subject, session)
            grid, n_trials = data.grid(subject), data.trials_in_session(subject)
            raw = sample_betas(path, n_trials, grid, index)
            empty = never_changes(raw)
            of_areas = [empty[np.isin(index, own)] for own in areas.values()]
            if any(some.sum() > most * len(some) for some in of_areas):
                empty = np.isin(index, _require_values(path, n_trials, grid, areas, most))
            _require_percent(path, raw[~empty])
            n_empty += int(empty.sum())
            _require_no_copy(path, raw[:, :SAMPLED_TRIALS], ~empty, seen)
    except InputError as error:
        return FileCheck(name, "bad", str(error), expected, REPLACE, error=error)
    found = f"{len(index)} voxels looked at in each session, {n_empty} without data"
    return FileCheck(name, "ok", found, expected)


def never_changes(raw: np.ndarray) -> np.ndarray:
    """Which voxels of raw (n_voxels, n) are the same in every trial: they have no data."""
    return (raw == raw[:, :1]).all(axis=1)


def _require_values(
    path: Path, n_trials: int, grid: tuple[int, int, int], areas: dict[str, np.ndarray], most: float
) -> np.ndarray:
    """Read all voxels of a session: which of them are without data, if no area has too many."""
    without = []
    for area, index in areas.items():
        empty = never_changes(stored_betas(path, n_trials, grid, index))
        if empty.mean() > most:
            z, y, x = np.unravel_index(index[empty.argmax()], grid[::-1])
            found = f"{empty.sum()} of {len(empty)} voxels of {area} the same in every trial"
            first = f"{found}, the first at x {x}, y {y}, z {z}"
            expected = f"at most {most:.1%} of voxels without data"
            raise InputError(path, expected, first, f"{REPLACE} {ALLOW}")
        without.append(index[empty])
    return np.concatenate(without)


def _require_percent(path: "Path", raw: np.ndarray) -> None:
    """Raise InputError if betas are of no size that percent signal change times 300 can have."""
    if not len(raw):
        return
    typical = float(np.median(np.abs(raw.astype(np.float64)))) / UNITS_PER_PERCENT
    if not SMALLEST <= typical <= LARGEST:
        expected = f"betas of a typical size between {SMALLEST} and {LARGEST} % (stored times 300)"
        hint = "Was the file written by something else, or its bytes swapped?"
        raise InputError(path, expected, f"{typical:.3g} %", hint)


def _require_no_copy(
    path: "Path",
    first_trials: np.ndarray,
    has_data: np.ndarray,
    seen: dict[tuple[int, bytes], "Path"],
) -> None:
    """Raise InputError if some voxels begin exactly as in a session that was looked at before."""
    equal: dict[Path, int] = {}
    for voxel in np.flatnonzero(has_data).tolist():
        key = voxel, first_trials[voxel].tobytes()
        other = seen.setdefault(key, path)
        if other != path:
            equal[other] = equal.get(other, 0) + 1
    for other, count in equal.items():
        if count >= min(FEWEST_EQUAL, has_data.sum()):
            found = f"those of {other.name} in {count} of {len(has_data)} voxels looked at"
            raise InputError(path, "betas of its own", found, REPLACE)
