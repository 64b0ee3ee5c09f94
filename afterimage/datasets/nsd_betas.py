"""NSD's single-trial betas: reading the wanted voxels and nothing else, whatever the storage.

A session is int16, percent signal change times 300. As HDF5 it is (trials, z, y, x), as NIfTI
(x, y, z, trials) in Fortran order: the flat position of a voxel is the same in both.
"""

from pathlib import Path
from types import ModuleType

import numpy as np

from afterimage.datasets import nsd_hdf5, nsd_nifti
from afterimage.datasets.nsd_fetch import REPLACE
from afterimage.errors import InputError

UNITS_PER_PERCENT = np.float32(300)
VOXELS_AT_ONCE = 256
SAMPLED_TRIALS = 3
FEWEST_VOXELS = 4


def session_file(folder: Path, session: int) -> Path:
    """The session's HDF5 file, or its NIfTI where only that was downloaded."""
    names = [f"betas_session{session:02d}{ending}" for ending in (".hdf5", ".nii.gz", ".nii")]
    return next((folder / name for name in names if (folder / name).exists()), folder / names[0])


def read_betas(
    path: Path, n_trials: int, grid: tuple[int, int, int], rows: np.ndarray, index: np.ndarray
) -> tuple[np.ndarray, int]:
    """Read some trials of some voxels of one session.

    Memory is bounded by n_voxels x n_trials int16 and the result, plus 32 MiB.

    Parameters
    ----------
    n_trials, grid : what the file must hold; grid is (x, y, z)
    rows : (n_rows,) int64, trials of the session from 0
    index : (n_voxels,) int64, flat positions in (z, y, x) order

    Returns
    -------
    betas : (n_rows, n_voxels) float32, percent signal change
    saturated : number of these values that stand at the end of int16's range

    Raises
    ------
    InputError
        if the file is broken, holds another shape or type, or a trial is zero in every voxel
    """
    if len(index) and not 0 <= index.min() <= index.max() < np.prod(grid):
        raise InputError(path, f"voxels of the grid {grid}", "positions outside it")
    return _to_percent(stored_betas(path, n_trials, grid, index), rows)


def stored_betas(
    path: Path, n_trials: int, grid: tuple[int, int, int], index: np.ndarray
) -> np.ndarray:
    """All trials (n_voxels, n_trials) int16, as stored, of some voxels."""
    raw = _storage(path).read(path, n_trials, grid, index)
    require_trials(path, raw)
    return raw


def sample_betas(
    path: Path, n_trials: int, grid: tuple[int, int, int], index: np.ndarray
) -> np.ndarray:
    """Some trials (n_voxels, n) int16 as stored of some voxels, as many as are cheap to read.

    The first `SAMPLED_TRIALS` are the session's first, whatever the storage.
    """
    raw = _storage(path).sample(path, n_trials, grid, index, SAMPLED_TRIALS)
    require_trials(path, raw)
    return raw


def describe_betas(path: Path, n_trials: int, grid: tuple[int, int, int]) -> str:
    """Shape, type and storage, from the header and as little more as tells that all is there."""
    return _storage(path).describe(path, n_trials, grid)


def _storage(path: Path) -> ModuleType:
    return nsd_hdf5 if path.suffix == ".hdf5" else nsd_nifti


def require_trials(path: Path, raw: np.ndarray) -> None:
    """Raise InputError if trials of raw (n_voxels, n) are exactly zero in every voxel.

    A download into space that was set aside beforehand leaves zeros where it broke off. So few
    voxels that they may be zero together by chance must be zero in every trial to be an error.
    """
    empty = (raw == 0).all(axis=0)
    if len(raw) and (empty.all() or (empty.any() and len(raw) >= FEWEST_VOXELS)):
        found = f"zero in all {len(raw)} voxels in {empty.sum()} of {len(empty)} trials looked at"
        raise InputError(path, "betas in every trial", found, REPLACE)


def _to_percent(raw: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, int]:
    """Turn some trials of raw (n_voxels, n_trials) int16 into (n_rows, n_voxels) percent."""
    betas = np.empty((len(rows), len(raw)), dtype=np.float32)
    saturated, ends = 0, np.iinfo(np.int16)
    for first in range(0, len(raw), VOXELS_AT_ONCE):
        # Few voxels at a time: what is transposed stays in the processor's cache.
        some = raw[first : first + VOXELS_AT_ONCE][:, rows]
        np.divide(some.T, UNITS_PER_PERCENT, out=betas[:, first : first + len(some)])
        saturated += int((some == ends.min).sum() + (some == ends.max).sum())
    return betas, saturated
