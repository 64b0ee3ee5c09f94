"""THINGS-fMRI's responses: rows of a pandas HDF file, read without pandas.

Which of its blocks holds the responses depends on the pandas that wrote the file, and the labels of
its blocks are pickled objects. The block is known by its shape; nothing is ever unpickled.
"""

from pathlib import Path

import numpy as np

from afterimage.errors import InputError

BLOCK_BYTES = 32 << 20
FETCH = "Fetch and unpack betas_csv.zip again."


def read_responses(
    path: Path, shape: tuple[int, int], rows: np.ndarray, index: np.ndarray
) -> np.ndarray:
    """Read some trials of some voxels; memory is bounded by the result and 32 MiB.

    Parameters
    ----------
    shape : (voxels, trials) of the whole file
    rows : (n_rows,) int64, trials
    index : (n_voxels,) int64, voxels

    Returns
    -------
    responses : (n_rows, n_voxels) float32

    Raises
    ------
    InputError
        if the file is broken or has no block of floats of that shape
    """
    responses = np.empty((len(rows), len(index)), dtype=np.float32)
    order = np.argsort(index, kind="stable")
    ascending = index[order]
    if len(index) and not 0 <= ascending[0] <= ascending[-1] < shape[0]:
        raise InputError(path, f"voxels below {shape[0]}", "others")
    with _open(path) as file:
        block = _block(path, file, shape)
        longest = max(1, BLOCK_BYTES // (shape[1] * block.dtype.itemsize))
        begin = 0
        try:
            while begin < len(ascending):
                end = begin + 1
                while (
                    end < len(ascending)
                    and ascending[end] - ascending[end - 1] <= 1
                    and ascending[end] - ascending[begin] < longest
                ):
                    end += 1
                slab = block[ascending[begin] : ascending[end - 1] + 1]
                picked = slab[ascending[begin:end] - ascending[begin]][:, rows]
                responses[:, order[begin:end]] = picked.T
                begin = end
        except (OSError, RuntimeError) as error:
            said = str(error).splitlines()[0]
            raise InputError(path, "readable responses", said, FETCH) from None
    return responses


def describe_responses(
    path: Path, shape: tuple[int, int], voxel_id: np.ndarray | None = None
) -> str:
    """Shape and type of the responses, after reading a value of the last voxel.

    Parameters
    ----------
    voxel_id : (voxels,) of VoxelMetadata; the file's own, where it has them, must be the same

    Raises
    ------
    InputError
        if the file is broken, has no block of floats of that shape, or other voxels' rows
    """
    with _open(path) as file:
        block = _block(path, file, shape)
        try:
            block[shape[0] - 1, shape[1] - 1]
            _compare_voxels(path, block, shape[0], voxel_id)
        except (OSError, RuntimeError) as error:
            said = str(error).splitlines()[0]
            raise InputError(path, "readable responses", said, FETCH) from None
        return f"{block.shape} {block.dtype} in {block.name}"


def _compare_voxels(path: Path, block, n_voxels: int, voxel_id: np.ndarray | None) -> None:
    """The frame's first column is `voxel_id`: a block of whole numbers beside that of floats."""
    if voxel_id is None:
        return
    values = [item for name, item in block.parent.items() if name.endswith("_values")]
    for item in values:
        if getattr(item, "shape", ()) == (n_voxels, 1) and item.dtype.kind in "iu":
            own = item[:, 0]
            if not np.array_equal(own, voxel_id):
                row = int(np.argmax(own != voxel_id))
                expected = f"voxel_id {voxel_id[row]} in row {row} as in VoxelMetadata.csv"
                hint = "Fetch and unpack betas_csv.zip again: the two belong together."
                raise InputError(path, expected, f"{own[row]}", hint)


def _open(path: Path):
    import h5py

    if not path.is_file():
        raise InputError(path, "THINGS-fMRI's responses", "nothing", FETCH)
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        raise InputError(path, "a whole HDF5 file", str(error).splitlines()[0], FETCH) from None


def _block(path: Path, file, shape: tuple[int, int]):
    """The one block of floats (voxels, trials)."""
    import h5py

    found: list[h5py.Dataset] = []

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim == 2 and item.dtype.kind in "iuf":
            found.append(item)

    file.visititems(visit)
    fitting = [item for item in found if item.shape == shape and item.dtype.kind == "f"]
    if len(fitting) == 1:
        _check_columns(path, fitting[0], shape[1])
        return fitting[0]
    expected = f"one block of floats {shape} (voxels, trials)"
    shapes = ", ".join(f"{item.shape} {item.dtype}" for item in found) or "no block of numbers"
    turned = any(item.shape == shape[::-1] for item in found)
    hint = "The block is transposed: rows must be voxels." if turned else FETCH
    raise InputError(path, expected, shapes, hint)


def _check_columns(path: Path, block, n_trials: int) -> None:
    """Column labels that are plain numbers (not pickled) must be the trials in order."""
    labels = block.parent.get(block.name.rsplit("/", 1)[1].replace("_values", "_items"))
    if labels is None or labels.dtype.kind not in "iu" or labels.shape != (n_trials,):
        return
    if not np.array_equal(labels[...], np.arange(n_trials)):
        raise InputError(path, "trials 0, 1, 2, ... as columns", "other columns")
