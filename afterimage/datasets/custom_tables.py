"""The files of your own data: trials.csv, voxels.csv, captions.csv and the responses."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from afterimage.errors import InputError, closest

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
RESPONSES = ("responses.npy", "responses.h5", "responses.zarr")
LAYOUT = "docs/data.md says what the file must hold."


def _read(path: Path, required: Sequence[str]) -> "pd.DataFrame":
    """Read a CSV table as text, without turning an id such as 007 or NA into something else."""
    import pandas as pd

    if not path.is_file():
        raise InputError(path, "a CSV table", "nothing", LAYOUT)
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(path, "a CSV table", str(error).splitlines()[0], LAYOUT) from None
    for name in required:
        if name not in table:
            known = [str(column) for column in table.columns]
            raise InputError(path, f"a column {name!r}", closest(name, known), LAYOUT)
    if not len(table):
        raise InputError(path, "rows", "none", LAYOUT)
    return table


def _numbers(path: Path, table: "pd.DataFrame", name: str, kind: type) -> np.ndarray:
    import pandas as pd

    try:
        return pd.to_numeric(table[name]).to_numpy().astype(kind, casting="safe")
    except (ValueError, TypeError):
        what = "whole numbers" if kind is np.int64 else "numbers"
        raise InputError(path, f"{what} in column {name}", "something else", LAYOUT) from None


def read_trials(path: Path) -> "pd.DataFrame":
    """Columns trial, session, run (int64), image_id, split (train, test or empty).

    Raises
    ------
    InputError
        if a trial number occurs twice, an image id is empty, a split is another word, or an image
        is both in training and in test
    """
    table = _read(path, ("trial", "image_id", "session", "run", "split"))
    for name in ("trial", "session", "run"):
        table[name] = _numbers(path, table, name, np.int64)
    if table["trial"].duplicated().any():
        again = table["trial"][table["trial"].duplicated()].iloc[0]
        raise InputError(path, "each trial once", f"trial {again} again")
    for name in ("image_id", "split"):
        table[name] = table[name].str.strip()
    if (table["image_id"] == "").any():
        raise InputError(path, "an image_id in every row", "an empty one")
    if table["image_id"].str.contains(r"[/\\]", regex=True).any():
        raise InputError(path, "image ids without / or \\", "one with them")
    words = sorted(set(table["split"]) - {"train", "test", ""})
    if words:
        raise InputError(path, "split train, test or empty", repr(words[0]))
    splits = table.groupby("image_id")["split"].nunique()
    if (splits > 1).any():
        raise InputError(path, "one split per image", f"several for {splits.index[splits > 1][0]}")
    return table


def read_voxels(path: Path, columns: Sequence[str]) -> "pd.DataFrame":
    """The wanted 0/1 columns as bool, and x, y, z where there are any, a row per voxel.

    Raises
    ------
    InputError
        if a column is missing or holds anything but 0 and 1, or a voxel occurs twice
    """
    table = _read(path, ("voxel", *columns))
    if table["voxel"].duplicated().any():
        again = table["voxel"][table["voxel"].duplicated()].iloc[0]
        raise InputError(path, "each voxel once", f"voxel {again} again")
    for name in columns:
        values = _numbers(path, table, name, np.float64)
        if not np.isin(values, (0, 1)).all():
            raise InputError(path, f"0 or 1 in column {name!r}", "other values")
        table[name] = values.astype(bool)
    for name in ("x", "y", "z"):
        if name in table:
            table[name] = _numbers(path, table, name, np.float64)
    return table


def read_captions(path: Path) -> dict[str, list[str]]:
    """Captions by image id, in the table's order; empty ones are left out."""
    table = _read(path, ("image_id", "caption"))
    captions: dict[str, list[str]] = {}
    for image_id, caption in zip(table["image_id"], table["caption"], strict=True):
        if caption.strip():
            captions.setdefault(image_id.strip(), []).append(" ".join(caption.split()))
    return captions


def responses_path(folder: Path) -> Path:
    """The first file of responses that there is: .npy, .h5 or .zarr."""
    found = [folder / name for name in RESPONSES if (folder / name).exists()]
    return found[0] if found else folder / RESPONSES[0]


def with_responses(path: Path, shape: tuple[int, int], use: Callable[[Any], T]) -> T:
    """Open the responses (trials, voxels), check shape and type, and pass them to `use`.

    The array given is a memory map, an HDF5 dataset or a zarr array: slices of it read only what
    they hold.

    Raises
    ------
    InputError
        if the file is missing or broken, its shape is not (trials, voxels), or there are two
    """
    others = [name for name in RESPONSES if name != path.name and (path.parent / name).exists()]
    if others:
        raise InputError(path, "one file of responses", f"{others[0]} as well")
    if not path.exists():
        raise InputError(path, "responses.npy, .h5 or .zarr", "nothing", LAYOUT)
    try:
        if path.suffix == ".h5":
            import h5py

            with h5py.File(path, "r", locking=False) as file:
                found = file.get("responses")
                if not isinstance(found, h5py.Dataset) or found.shape is None:
                    known = ", ".join(file) or "an empty file"
                    raise InputError(path, "a dataset 'responses'", known, LAYOUT)
                return use(_checked(path, file["responses"], shape))
        if path.suffix == ".zarr":
            import zarr

            return use(_checked(path, zarr.open_array(str(path), mode="r"), shape))
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        return use(_checked(path, array, shape))
    except InputError:
        raise
    except (OSError, ValueError, RuntimeError, EOFError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(path, "readable responses", said, LAYOUT) from None


def _checked(path: Path, array, shape: tuple[int, int]):
    if not hasattr(array, "dtype"):
        raise InputError(path, "one array", f"an archive ({type(array).__name__})", LAYOUT)
    if array.dtype.kind not in "iuf":
        raise InputError(path, "numbers", str(array.dtype), LAYOUT)
    if tuple(array.shape) != shape:
        turned = tuple(array.shape) == shape[::-1]
        hint = "It is transposed: rows must be trials." if turned else LAYOUT
        raise InputError(path, f"shape {shape} (trials, voxels)", f"{tuple(array.shape)}", hint)
    return array
