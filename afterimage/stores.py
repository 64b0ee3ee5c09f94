"""The files that stages hand to each other: whole or absent, and joined by id.

Arrays are zarr v3 groups. Strings (image ids, names) are kept in them as rows of UTF-8 bytes, which
every zarr reader understands; `read_arrays` gives them back as strings. Everything is written to a
temporary name beside its own and renamed, so that a file that exists is whole.
"""

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from glob import escape as glob_escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from afterimage.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

CHUNK_BYTES = 4 << 20
NO_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` if the block succeeds.

    Raises
    ------
    InputError
        if the disk is full or read-only; nothing half-written is left
    """
    path = Path(path)
    try:
        with _renamed(path) as temporary:
            yield temporary
    except OSError as error:
        if error.errno not in NO_PLACE:
            raise
        said = os.strerror(error.errno)
        raise InputError(path, "a disk to write to", said, "Make room, then run again.") from None


@contextmanager
def _renamed(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    # A killed job leaves its half behind; whoever writes the file next clears it away.
    for left in path.parent.glob(f".{glob_escape(path.name)}.*.partial"):
        _remove(left)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
    except BaseException:
        _remove(temporary)
        raise
    if path.is_dir():
        _remove(path)
    temporary.rename(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_arrays(
    path: str | Path,
    arrays: Mapping[str, np.ndarray],
    attributes: Mapping[str, Any] | None = None,
    rows_per_chunk: Mapping[str, int] | None = None,
) -> None:
    """Write named arrays and JSON attributes as one zarr group.

    Parameters
    ----------
    arrays : name -> array of any shape; arrays of str must be one-dimensional
    rows_per_chunk : name -> rows along the first axis that are read together; by default as many
        as fit 4 MiB
    """
    with whole(path) as temporary:
        group = create_group(temporary, attributes)
        for name, array in arrays.items():
            _write_array(group, name, np.asarray(array), (rows_per_chunk or {}).get(name))


def create_group(path: str | Path, attributes: Mapping[str, Any] | None = None):
    """Open a new zarr v3 group for writing in parts; wrap it in `whole`."""
    import zarr

    return zarr.create_group(store=str(path), zarr_format=3, attributes=dict(attributes or {}))


def create_array(group, name: str, shape: tuple[int, ...], dtype: str, rows: int | None = None):
    """Add an empty array to a group, chunked along its first axis."""
    row_bytes = max(1, int(np.prod(shape[1:], dtype=np.int64)) * np.dtype(dtype).itemsize)
    rows = rows or max(1, CHUNK_BYTES // row_bytes)
    chunks = (max(1, min(rows, shape[0] or 1)), *(max(1, side) for side in shape[1:]))
    return group.create_array(name=name, shape=shape, chunks=chunks, dtype=dtype)


def _write_array(group, name: str, array: np.ndarray, rows: int | None) -> None:
    if array.dtype.kind in "OUT":
        encoded = [str(text).encode() for text in array.ravel()]
        if array.ndim != 1:
            raise ValueError(f"{name}: arrays of strings must be one-dimensional")
        width = max([1, *map(len, encoded)])
        array = np.array(encoded, dtype=f"S{width}").view(np.uint8).reshape(len(encoded), width)
        group.attrs["strings"] = [*group.attrs.get("strings", []), name]
    target = create_array(group, name, array.shape, str(array.dtype), rows)
    if array.size:
        target[...] = array


def open_group(path: str | Path):
    """Open a zarr group for reading, or say that it is missing or broken."""
    import zarr

    if not Path(path).is_dir():
        raise InputError(path, "a zarr group", "nothing", "Run the rule that makes it.")
    try:
        return zarr.open_group(str(path), mode="r")
    except Exception as error:
        raise InputError(
            path, "a zarr group", f"{type(error).__name__}: {error}", "Remove it and run again."
        ) from error


def array_names(path: str | Path) -> list[str]:
    """The names of a group's arrays, in order.

    Looked up in its folder: zarr would warn of the time stamp that Snakemake leaves in there.
    """
    return sorted(item.parent.name for item in Path(path).glob("*/zarr.json"))


def read_arrays(path: str | Path, *names: str) -> dict[str, np.ndarray]:
    """Read the named arrays of a group (all of them by default), strings as numpy str."""
    group = open_group(path)
    strings = group.attrs.get("strings", [])
    present = array_names(path)
    for name in names:
        if name not in present:
            raise InputError(path, f"an array {name!r}", f"only {', '.join(present)}")
    return {
        name: _as_strings(group[name][...]) if name in strings else group[name][...]
        for name in names or present
    }


def _as_strings(rows: np.ndarray) -> np.ndarray:
    if not len(rows):
        return np.array([], dtype=str)
    texts = np.ascontiguousarray(rows).view(f"S{rows.shape[1]}")[:, 0]
    return np.array([text.decode() for text in texts])


def read_attributes(path: str | Path) -> dict[str, Any]:
    """The JSON attributes of a group, without the bookkeeping of strings."""
    return {key: value for key, value in open_group(path).attrs.items() if key != "strings"}


def positions(wanted: Sequence[str], present: Sequence[str], what: str) -> np.ndarray:
    """Where each wanted id stands among the present ones: joins are by id, never by order.

    Raises
    ------
    InputError
        if a present id occurs twice or a wanted one is missing
    """
    where = {str(name): index for index, name in enumerate(present)}
    if len(where) != len(present):
        names, counts = np.unique(np.asarray(present, dtype=str), return_counts=True)
        raise InputError(what, "each image id once", f"{names[counts > 1][0]} more than once")
    missing = [name for name in map(str, wanted) if name not in where]
    if missing:
        raise InputError(
            what, f"all {len(wanted)} image ids", f"{len(missing)} missing, first {missing[0]}"
        )
    return np.array([where[str(name)] for name in wanted], dtype=np.int64)


def write_table(path: str | Path, table: "pd.DataFrame") -> None:
    """Write a table as parquet or CSV, by the name's ending."""
    with whole(path) as temporary:
        if str(path).endswith(".parquet"):
            table.to_parquet(temporary, index=False)
        else:
            table.to_csv(temporary, index=False)


def read_table(path: str | Path) -> "pd.DataFrame":
    """Read a table that `write_table` wrote; image ids stay strings."""
    import pandas as pd

    if str(path).endswith(".parquet"):
        return pd.read_parquet(path)
    return pd.read_csv(path, converters={"image_id": str})


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON with sorted keys, so that equal values are equal bytes."""
    with whole(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file, or say what is wrong with it."""
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError:
        raise InputError(path, "a JSON file", "nothing") from None
    except json.JSONDecodeError as error:
        raise InputError(path, "a JSON file", f"invalid JSON ({error})") from None
