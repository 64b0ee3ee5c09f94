"""The form that every file of NSD's betas must have, and how its faults are said."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from afterimage.datasets.nsd_fetch import FETCH, REPLACE
from afterimage.errors import InputError


def require_file(path: Path) -> None:
    """Raise InputError if there is no such file."""
    if not path.is_file():
        raise InputError(path, "a session's betas", "nothing", FETCH)


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def read_or_blame(path: Path, read: Callable[[], object]) -> None:
    """Read; if that fails, the file is to blame."""
    try:
        read()
    except (OSError, RuntimeError, KeyError) as error:
        raise InputError(path, "readable betas", first_line(error), REPLACE) from None


def check_form(
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype,
    n_trials: int,
    volume: tuple[int, ...],
    trial_axis: int,
) -> None:
    """Raise InputError unless betas are int16 and have `n_trials` volumes.

    Parameters
    ----------
    volume : the sides of the volume in the file's order of axes
    trial_axis : 0 (HDF5) or 3 (NIfTI)
    """
    if dtype.kind != "i" or dtype.itemsize != 2:
        raise InputError(path, "int16, percent signal change times 300", str(dtype))
    if len(shape) != 4:
        raise InputError(path, "four axes: trials and a volume", f"shape {shape}")
    trials = (n_trials,)
    expected = (*trials, *volume) if trial_axis == 0 else (*volume, *trials)
    if tuple(shape) == expected:
        return
    hint = ""
    if sorted(shape) == sorted(expected):
        hint = "The axes are in another order: was it transposed?"
    elif tuple(np.delete(shape, trial_axis)) == tuple(volume):
        hint = f"The session holds {shape[trial_axis]} trials, not {n_trials}."
    else:
        hint = "Its grid is not that of the region volumes: are both of the same subject?"
    raise InputError(path, f"shape {expected}", f"{tuple(shape)}", hint)


def some_trials(n_trials: int, n_each: int) -> list[tuple[int, int]]:
    """Where some trials begin and end: the first ones, some of the middle, the last ones."""
    n_each = min(n_each, n_trials)
    begins = (0, (n_trials - n_each) // 2, n_trials - n_each)
    return [(begin, begin + n_each) for begin in begins]
