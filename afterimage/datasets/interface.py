"""What every dataset offers to the stages that follow."""

from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from afterimage.errors import InputError
from afterimage.needs import EVERYTHING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Voxels:
    """The voxels of one area, each once.

    Attributes
    ----------
    index : (n_voxels,) int64, flat position in the dataset's response array
    roi : (n_voxels,) str, the first of the area's regions that holds the voxel
    xyz : (n_voxels, 3) float32, millimetres or the file's own coordinates; NaN where unknown
    notes : what a person should know of the choice, such as how many voxels several regions share
    """

    index: np.ndarray
    roi: np.ndarray
    xyz: np.ndarray
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileCheck:
    """What a look at one needed file told.

    `status` is ok, missing or bad; `found` says size, shape and dtype, or what is wrong;
    `remedy` says what to do or run. Files that are not `needed` may be missing.
    """

    path: str
    status: str
    found: str = ""
    expected: str = ""
    remedy: str = ""
    needed: bool = True
    error: InputError | None = None

    @property
    def stops(self) -> bool:
        """Whether work cannot begin because of this file."""
        return self.status == "bad" or (self.status == "missing" and self.needed)


class Dataset(Protocol):
    """One dataset of the config; subjects and parts are named as the dataset names them."""

    def trials(self, subject: str) -> "pd.DataFrame":
        """The subject's trials in the order they were shown.

        Columns: trial (int, 0-based), session and run (int, 1-based), part (str), row (int, place
        along the trial axis of that part), image_id (str), official ("train", "test" or "").
        """
        ...

    def voxels(self, subject: str, area: str) -> Voxels:
        """The voxels of `lower` or `higher`: regions in the config's order, ascending in each."""
        ...

    def betas(self, subject: str, part: str, rows: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Responses (n_rows, n_voxels) float32 of the trials `rows` and the voxels `index`."""
        ...

    def image(self, image_id: str) -> np.ndarray:
        """The picture that was seen, (height, width, 3) uint8."""
        ...

    def captions(self, image_id: str) -> list[str]:
        """Everything the dataset says of the picture in words; at least one."""
        ...

    def raw_files(self, subject: str) -> dict[str, list[Path]]:
        """Paths that are read, whether they are there or not; folders count with all in them.

        By what is read: `trials`, `voxels`, `images`, `captions` and `betas {part}`.
        """
        ...

    def check(self, subject: str, needs: Set[str] = EVERYTHING) -> list[FileCheck]:
        """A cheap look at trials, pictures and what else a run needs: headers and a few values.

        What is not among `needs`, a part of EVERYTHING, is not looked at.
        """
        ...


ENOUGH_VOXELS = 32
"""So many voxels are not exactly zero together in a trial that has data."""

LOOKED_AT = 8
"""Trials whose values are looked at first: a voxel without data has none in any of them."""


def look(
    path: str | Path,
    describe: Callable[[], str],
    expected: str,
    remedy: str,
    needed: bool = True,
) -> FileCheck:
    """Look at one file: `describe` says what its header holds, or raises InputError."""
    path = Path(path)
    try:
        if not path.exists():
            error = InputError(path, expected, "nothing", remedy)
            return FileCheck(str(path), "missing", "nothing", expected, remedy, needed, error)
        found = describe()
    except InputError as problem:
        said = str(problem).removeprefix(f"{path}: ")
        return FileCheck(str(path), "bad", said, expected, remedy, needed, problem)
    except OSError as problem:
        unreadable = InputError(path, expected, f"unreadable ({problem})", remedy)
        return FileCheck(str(path), "bad", str(problem), expected, remedy, needed, unreadable)
    return FileCheck(str(path), "ok", found, expected, "", needed)


def look_at_area(data: Dataset, subject: str, area: str) -> FileCheck:
    """Choose an area's voxels, and say how many there are or why that fails."""
    name, expected = f"{subject}: {area}", "voxels in every region"
    try:
        return FileCheck(name, "ok", "; ".join(data.voxels(subject, area).notes), expected)
    except InputError as error:
        return FileCheck(name, "bad", str(error), expected, error=error)


def look_at_values(data: Dataset, subject: str, area: str, most: float) -> FileCheck:
    """Read some trials of an area's voxels: how many have no values, or one and the same?

    Where they seem too many, all trials are read to be sure of it.

    Parameters
    ----------
    most : the share of such voxels that is not yet an error
    """
    name, expected = f"{subject}: {area}, some trials", f"at most {most:.1%} of voxels without data"
    remedy = "Look at the raw file, or raise responses.max_bad_voxels."
    try:
        trials, index = data.trials(subject), data.voxels(subject, area).index
        spread = np.linspace(0, len(trials) - 1, LOOKED_AT).astype(int)
        chosen = trials.iloc[np.unique(spread)]
        bad = _without_data(data, subject, chosen, index)
        if bad.mean() > most:
            bad = _without_data(data, subject, trials, index)
        found = f"{bad.sum()} of {len(bad)} voxels not finite or always the same"
        if bad.mean() > most:
            found += f", the first is number {bad.argmax()} of the area"
            raise InputError(name, expected, found, remedy)
    except InputError as error:
        return FileCheck(name, "bad", str(error), expected, remedy, error=error)
    return FileCheck(name, "ok", found, expected)


def _without_data(
    data: Dataset, subject: str, trials: "pd.DataFrame", index: np.ndarray
) -> np.ndarray:
    """Voxels (n_voxels,) bool that are finite in no trial, or have one value in all of them."""
    low, high = np.full(len(index), np.inf), np.full(len(index), -np.inf)
    for part, rows in trials.groupby("part")["row"]:
        betas = data.betas(subject, str(part), rows.to_numpy(np.int64), index)
        empty = rows[~betas.any(axis=1)]
        if len(index) >= ENOUGH_VOXELS and len(empty):
            found = (
                f"zero in all {len(index)} voxels in trial {trials.loc[empty.index[0], 'trial']}"
            )
            raise InputError(f"{subject}: responses", "values in every trial", found)
        finite = np.isfinite(betas)
        low = np.minimum(low, np.where(finite, betas, np.inf).min(axis=0))
        high = np.maximum(high, np.where(finite, betas, -np.inf).max(axis=0))
    return low >= high


def size_of(path: str | Path) -> str:
    """A file's size as people write it."""
    size = float(Path(path).stat().st_size)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("unreachable")
