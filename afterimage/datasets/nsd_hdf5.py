"""A session's betas as HDF5: (trials, z, y, x), in the release a chunk per voxel."""

from functools import partial
from pathlib import Path

import numpy as np

from afterimage.datasets.nsd_fetch import REPLACE
from afterimage.datasets.nsd_form import (
    check_form,
    first_line,
    read_or_blame,
    require_file,
    some_trials,
)
from afterimage.errors import InputError

BLOCK_BYTES = 32 << 20


def describe(path: Path, n_trials: int, grid: tuple[int, int, int]) -> str:
    """Shape, type and storage from the header, after reading one voxel."""
    with _open(path) as file:
        betas = _checked(path, file, n_trials, grid)
        # Looking for every chunk would read all of a large file's index, as the reader does
        # for those that it needs: here the file's size must do.
        stored = path.stat().st_size if betas.chunks else betas.id.get_storage_size()
        if stored < betas.nbytes and not _is_filtered(betas):
            found = f"{stored:,}: parts of it were never written"
            raise InputError(path, f"{betas.nbytes:,} bytes of betas", found, REPLACE)
        middle = tuple(side // 2 for side in betas.shape[1:])
        read_or_blame(path, lambda: betas[(slice(None), *middle)])
        storage = f"chunks {betas.chunks}" if betas.chunks else "contiguous"
        packed = f", {betas.compression}" if betas.compression else ""
        return f"{betas.shape} {betas.dtype}, {storage}{packed}"


def read(path: Path, n_trials: int, grid: tuple[int, int, int], index: np.ndarray) -> np.ndarray:
    """All trials (n_voxels, n_trials) int16 of the voxels at the flat positions `index`."""
    raw = np.empty((len(index), n_trials), dtype=np.int16)
    with _open(path) as file:
        betas = _checked(path, file, n_trials, grid)
        place = np.stack(np.unravel_index(index, betas.shape[1:]), axis=1)
        if _is_plain_chunk_per_voxel(betas):
            read_or_blame(path, lambda: _read_chunks(path, betas, place, raw))
        else:
            read_or_blame(path, lambda: _require_written(path, betas, place))
            read_or_blame(path, lambda: _read_boxes(betas, place, raw, 0))
    return raw


def sample(
    path: Path, n_trials: int, grid: tuple[int, int, int], index: np.ndarray, n_each: int
) -> np.ndarray:
    """Some trials (n_voxels, n) int16 of some voxels, as many as are cheap.

    All trials of a voxel where a chunk holds them; else `n_each` from the beginning, as many from
    the middle and from the end. The first `n_each` are there either way.
    """
    with _open(path) as file:
        betas = _checked(path, file, n_trials, grid)
        place = np.stack(np.unravel_index(index, betas.shape[1:]), axis=1)
        if _is_plain_chunk_per_voxel(betas):
            raw = np.empty((len(index), n_trials), dtype=np.int16)
            read_or_blame(path, lambda: _read_chunks(path, betas, place, raw))
            return raw
        whole = betas.chunks == (n_trials, 1, 1, 1)
        pieces = []
        for begin, end in [(0, n_trials)] if whole else some_trials(n_trials, n_each):
            piece = np.empty((len(index), end - begin), dtype=np.int16)
            read_or_blame(path, partial(_read_boxes, betas, place, piece, begin))
            pieces.append(piece)
    return np.concatenate(pieces, axis=1)


def _open(path: Path):
    import h5py

    require_file(path)
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        raise InputError(path, "a whole HDF5 file", first_line(error), REPLACE) from None


def _checked(path: Path, file, n_trials: int, grid: tuple[int, int, int]):
    """The dataset `betas` of an open file, once its shape and type are the expected ones."""
    import h5py

    betas = file.get("betas")
    if not isinstance(betas, h5py.Dataset) or betas.shape is None:
        found = (
            "one without values" if betas is not None else f"only {', '.join(file) or 'nothing'}"
        )
        raise InputError(path, "a dataset 'betas'", found, REPLACE)
    check_form(path, betas.shape, betas.dtype, n_trials, grid[::-1], 0)
    return betas


def _is_filtered(betas) -> bool:
    return betas.id.get_create_plist().get_nfilters() > 0


def _is_plain_chunk_per_voxel(betas) -> bool:
    """Whether a chunk's bytes are a voxel's trials as they are: the release's storage."""
    chunk_per_voxel = betas.chunks == (betas.shape[0], 1, 1, 1)
    return chunk_per_voxel and not _is_filtered(betas) and betas.dtype.isnative


def _never_written(path: Path, z: int, y: int, x: int) -> InputError:
    """HDF5 gives zeros for what was never written: a copy that broke off would pass for betas."""
    where = f"nothing for x {x}, y {y}, z {z}"
    return InputError(path, "betas written for every voxel", where, REPLACE)


def _require_written(path: Path, betas, place: np.ndarray) -> None:
    """Raise InputError unless every chunk that holds a wanted voxel is in the file."""
    if not betas.chunks:
        if len(place) and betas.id.get_storage_size() == 0:
            raise _never_written(path, *place[0].tolist())
        return
    per_axis = -(-np.asarray(betas.shape) // np.asarray(betas.chunks))
    if betas.id.get_num_chunks() == per_axis.prod():
        return
    trials_written = np.zeros(per_axis[1:], dtype=np.int64)

    def note(chunk) -> None:
        cell = [
            offset // side for offset, side in zip(chunk.chunk_offset, betas.chunks, strict=True)
        ]
        trials_written[tuple(cell[1:])] += 1

    betas.id.chunk_iter(note)
    whole = trials_written[tuple((place // np.asarray(betas.chunks[1:])).T)] == per_axis[0]
    if not whole.all():
        raise _never_written(path, *place[np.argmin(whole)].tolist())


def _read_chunks(path: Path, betas, place: np.ndarray, raw: np.ndarray) -> None:
    """Each voxel is one unfiltered chunk: its bytes are the answer, with no selection made."""
    read, stored = betas.id.read_direct_chunk, raw.view(np.uint8)
    # In the file's order: disks and their caches like to go forward.
    order = np.lexsort(place.T[::-1])
    for row, (z, y, x) in zip(order.tolist(), place[order].tolist(), strict=True):
        try:
            read((0, z, y, x), out=stored[row])
        except (OSError, RuntimeError):
            # A chunk that is there and cannot be read fails here as well; of one that was never
            # written HDF5 gives the fill value.
            betas[:, z, y, x]
            raise _never_written(path, z, y, x) from None


def _read_boxes(betas, place: np.ndarray, raw: np.ndarray, begin: int) -> None:
    """Any other storage: read each chunk that holds a wanted voxel once, in blocks of trials.

    Fills raw (n_voxels, n) with the trials from `begin` on.
    """
    end = begin + raw.shape[1]
    cell = betas.chunks[1:] if betas.chunks else betas.shape[1:]
    step_of_chunk = betas.chunks[0] if betas.chunks else 1
    cells = place // np.asarray(cell)
    order = np.lexsort(cells.T[::-1])
    edges = np.flatnonzero(np.any(np.diff(cells[order], axis=0), axis=1)) + 1
    for members in np.split(order, edges):
        low, high = place[members].min(axis=0), place[members].max(axis=0) + 1
        if not betas.chunks:
            low[1:], high[1:] = 0, betas.shape[2:]  # whole slices are contiguous on disk
        inside = tuple((place[members] - low).T)
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        fitting = BLOCK_BYTES // (2 * int(np.prod(high - low)))
        step = max(1, fitting // step_of_chunk) * step_of_chunk
        for first in range(begin, end, step):
            last = min(first + step, end)
            block = betas[(slice(first, last), *box)]
            raw[members, first - begin : last - begin] = block[(slice(None), *inside)].T
