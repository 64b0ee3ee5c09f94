"""NSD's single-trial betas: reading the wanted voxels and nothing else, whatever the storage.

A session is int16, percent signal change times 300. As HDF5 it is (trials, z, y, x), as NIfTI
(x, y, z, trials) in Fortran order: the flat position of a voxel is the same in both.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np

from afterimage.errors import InputError

UNITS_PER_PERCENT = np.float32(300)
BLOCK_BYTES = 32 << 20
VOXELS_AT_ONCE = 256
FETCH = "Fetch the session again: snakemake --cores 8 download_nsd resumes what was cut short."


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
        if the file is broken or holds another shape or type
    """
    if len(index) and not 0 <= index.min() <= index.max() < np.prod(grid):
        raise InputError(path, f"voxels of the grid {grid}", "positions outside it")
    raw = np.empty((len(index), n_trials), dtype=np.int16)
    reader = _read_hdf5 if path.suffix == ".hdf5" else _read_nifti
    reader(path, n_trials, grid, index, raw)
    return _to_percent(raw, rows)


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


def describe_betas(path: Path, n_trials: int, grid: tuple[int, int, int]) -> str:
    """Shape, type and storage from the header, after reading one voxel of it."""
    if path.suffix == ".hdf5":
        with _open(path) as file:
            betas = _checked(path, file, n_trials, grid)
            # Looking for every chunk would read all of a large file's index, as the reader does
            # for those that it needs: here the file's size must do.
            stored = path.stat().st_size if betas.chunks else betas.id.get_storage_size()
            if stored < betas.nbytes and not _is_filtered(betas):
                found = f"{stored:,}: parts of it were never written"
                raise InputError(path, f"{betas.nbytes:,} bytes of betas", found, FETCH)
            middle = tuple(side // 2 for side in betas.shape[1:])
            _read_or_blame(path, lambda: betas[(slice(None), *middle)])
            storage = f"chunks {betas.chunks}" if betas.chunks else "contiguous"
            packed = f", {betas.compression}" if betas.compression else ""
            return f"{betas.shape} {betas.dtype}, {storage}{packed}"
    header, offset = _nifti_header(path, n_trials, grid)
    _require_whole_nifti(path, offset + n_trials * int(np.prod(grid)) * 2)
    return f"{header.get_data_shape()} {header.get_data_dtype()}, NIfTI, trials last"


def _require_whole_nifti(path: Path, n_bytes: int) -> None:
    """Raise InputError if a NIfTI holds fewer bytes, unpacked, than it must.

    A packed file says in its last four bytes how long it is unpacked (modulo 2^32). Where that is
    another number, the file was cut short or packed in pieces: it is unpacked to tell which.
    """
    import gzip
    import zlib

    found = path.stat().st_size
    if path.suffix == ".gz":
        with open(path, "rb") as packed:
            packed.seek(max(0, found - 4))
            if int.from_bytes(packed.read(), "little") == n_bytes % 2**32:
                return
        found = 0
        try:
            with gzip.open(path, "rb") as stream:
                while piece := stream.read(BLOCK_BYTES):
                    found += len(piece)
        except (EOFError, OSError, zlib.error) as error:
            raise InputError(path, "a whole NIfTI file", _first_line(error), FETCH) from None
    if found < n_bytes:
        said = f"{found:,}: it was cut short"
        raise InputError(path, f"{n_bytes:,} bytes unpacked", said, FETCH)


def _open(path: Path):
    import h5py

    if not path.is_file():
        raise InputError(
            path, "a session's betas", "nothing", "Fetch: snakemake --cores 8 download_nsd."
        )
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        raise InputError(path, "a whole HDF5 file", _first_line(error), FETCH) from None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _read_or_blame(path: Path, read: Callable[[], object]) -> None:
    try:
        read()
    except (OSError, RuntimeError) as error:
        raise InputError(path, "readable betas", _first_line(error), FETCH) from None


def _checked(path: Path, file, n_trials: int, grid: tuple[int, int, int]):
    """The dataset `betas` of an open file, once its shape and type are the expected ones."""
    import h5py

    betas = file.get("betas")
    if not isinstance(betas, h5py.Dataset):
        raise InputError(path, "a dataset 'betas'", f"only {', '.join(file) or 'an empty file'}")
    _check_form(path, betas.shape, betas.dtype, n_trials, grid[::-1], 0)
    return betas


def _check_form(
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype,
    n_trials: int,
    volume: tuple[int, ...],
    trial_axis: int,
) -> None:
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


def _read_hdf5(
    path: Path, n_trials: int, grid: tuple[int, int, int], index: np.ndarray, raw: np.ndarray
) -> None:
    """Fill raw (n_voxels, n_trials) with the voxels at the flat positions `index`."""
    with _open(path) as file:
        betas = _checked(path, file, n_trials, grid)
        place = np.stack(np.unravel_index(index, betas.shape[1:]), axis=1)
        chunk_per_voxel = betas.chunks == (n_trials, 1, 1, 1)
        if chunk_per_voxel and not _is_filtered(betas) and betas.dtype.isnative:
            _read_or_blame(path, lambda: _read_chunks(path, betas, place, raw))
        else:
            _read_or_blame(path, lambda: _require_written(path, betas, place))
            _read_or_blame(path, lambda: _read_boxes(betas, place, raw))


def _is_filtered(betas) -> bool:
    return betas.id.get_create_plist().get_nfilters() > 0


def _never_written(path: Path, z: int, y: int, x: int) -> InputError:
    """HDF5 gives zeros for what was never written: a copy that broke off would pass for betas."""
    where = f"nothing for x {x}, y {y}, z {z}"
    return InputError(path, "betas written for every voxel", where, FETCH)


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


def _read_boxes(betas, place: np.ndarray, raw: np.ndarray) -> None:
    """Any other storage: read each chunk that holds a wanted voxel once, in blocks of trials."""
    n_trials = betas.shape[0]
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
        for first in range(0, n_trials, step):
            block = betas[(slice(first, first + step), *box)]
            raw[members, first : first + len(block)] = block[(slice(None), *inside)].T


def _nifti_header(path: Path, n_trials: int, grid: tuple[int, int, int]):
    import nibabel

    if not path.is_file():
        raise InputError(
            path, "a session's betas", "nothing", "Fetch: snakemake --cores 8 download_nsd."
        )
    try:
        image = nibabel.Nifti1Image.from_filename(path)
        header, stored = image.header, cast(Any, image.dataobj)
    except Exception as error:  # nibabel, gzip and zlib each raise their own kinds
        raise InputError(path, "a NIfTI file", _first_line(error), FETCH) from None
    _check_form(path, header.get_data_shape(), header.get_data_dtype(), n_trials, grid, 3)
    slope, intercept = stored.slope, stored.inter
    if slope != 1 or intercept != 0:
        raise InputError(path, "no scaling in the header", f"slope {slope}, intercept {intercept}")
    return header, int(stored.offset)


def _read_nifti(
    path: Path, n_trials: int, grid: tuple[int, int, int], index: np.ndarray, raw: np.ndarray
) -> None:
    """Fill raw from a NIfTI, trial by trial: a packed file can only be read from its beginning."""
    import gzip
    import zlib

    header, offset = _nifti_header(path, n_trials, grid)
    dtype = header.get_data_dtype()
    bytes_each = int(np.prod(grid)) * dtype.itemsize
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as stream:
            stream.read(offset)
            for trial in range(n_trials):
                volume = stream.read(bytes_each)
                if len(volume) < bytes_each:
                    raise EOFError(f"the file ends in trial {trial}")
                raw[:, trial] = np.frombuffer(volume, dtype=dtype)[index]
            stream.read(1)  # reaching the end makes gzip compare its checksum
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(path, "a whole NIfTI file", _first_line(error), FETCH) from None
