"""A session's betas as NIfTI: (x, y, z, trials) in Fortran order, packed or not."""

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from afterimage.datasets.nsd_fetch import REPLACE
from afterimage.datasets.nsd_form import check_form, first_line, require_file, some_trials
from afterimage.errors import InputError

BLOCK_BYTES = 32 << 20


def describe(path: Path, n_trials: int, grid: tuple[int, int, int]) -> str:
    """Shape and type from the header, after seeing that the file is long enough."""
    header, offset = _header(path, n_trials, grid)
    _require_whole(path, offset + n_trials * int(np.prod(grid)) * 2)
    return f"{header.get_data_shape()} {header.get_data_dtype()}, NIfTI, trials last"


def read(path: Path, n_trials: int, grid: tuple[int, int, int], index: np.ndarray) -> np.ndarray:
    """All trials (n_voxels, n_trials) int16 of the voxels at the flat positions `index`."""
    return _read(path, n_trials, grid, index, range(n_trials))


def sample(
    path: Path, n_trials: int, grid: tuple[int, int, int], index: np.ndarray, n_each: int
) -> np.ndarray:
    """Some trials (n_voxels, n) int16 of some voxels, the first `n_each` among them.

    A packed file can only be read from its beginning; of others some trials of the middle and the
    end are read as well.
    """
    blocks = some_trials(n_trials, n_each)[: 1 if path.suffix == ".gz" else None]
    trials = [trial for begin, end in blocks for trial in range(begin, end)]
    return _read(path, n_trials, grid, index, trials)


def axes(path: Path) -> str:
    """Where the axes x, y and z point to: RAS in the release."""
    import nibabel

    affine = nibabel.Nifti1Image.from_filename(path).affine
    return "".join(str(code or "?") for code in nibabel.orientations.aff2axcodes(affine))


def _read(
    path: Path, n_trials: int, grid: tuple[int, int, int], index: np.ndarray, trials: Sequence[int]
) -> np.ndarray:
    """Trial by trial; of a packed file that is read to its end, the checksum is compared."""
    header, offset = _header(path, n_trials, grid)
    dtype = header.get_data_dtype()
    bytes_each = int(np.prod(grid)) * dtype.itemsize
    raw = np.empty((len(index), len(trials)), dtype=np.int16)
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as stream:
            for column, trial in enumerate(trials):
                stream.seek(offset + trial * bytes_each)
                volume = stream.read(bytes_each)
                if len(volume) < bytes_each:
                    raise EOFError(f"the file ends in trial {trial}")
                raw[:, column] = np.frombuffer(volume, dtype=dtype)[index]
            if len(trials) == n_trials:
                stream.read(1)  # reaching the end makes gzip compare its checksum
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(path, "a whole NIfTI file", first_line(error), REPLACE) from None
    return raw


def _header(path: Path, n_trials: int, grid: tuple[int, int, int]):
    import nibabel

    require_file(path)
    try:
        image = nibabel.Nifti1Image.from_filename(path)
        header, stored = image.header, cast(Any, image.dataobj)
    except Exception as error:  # nibabel, gzip and zlib each raise their own kinds
        raise InputError(path, "a NIfTI file", first_line(error), REPLACE) from None
    check_form(path, header.get_data_shape(), header.get_data_dtype(), n_trials, grid, 3)
    slope, intercept = stored.slope, stored.inter
    if slope != 1 or intercept != 0:
        raise InputError(path, "no scaling in the header", f"slope {slope}, intercept {intercept}")
    return header, int(stored.offset)


def _require_whole(path: Path, n_bytes: int) -> None:
    """Raise InputError if a NIfTI holds fewer bytes, unpacked, than it must.

    A packed file says in its last four bytes how long it is unpacked (modulo 2^32). Where that is
    another number, the file was cut short or packed in pieces: it is unpacked to tell which.
    """
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
            raise InputError(path, "a whole NIfTI file", first_line(error), REPLACE) from None
    if found < n_bytes:
        said = f"{found:,}: it was cut short"
        raise InputError(path, f"{n_bytes:,} bytes unpacked", said, REPLACE)
