"""NSD's pictures and what COCO's annotators said of them, by 0-based 73K id."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from afterimage.datasets.nsd_fetch import FETCH, REPLACE
from afterimage.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

STIMULI = "nsddata_stimuli/stimuli/nsd"
CAPTION_FILES = ("annotations/captions_train2017.json", "annotations/captions_val2017.json")
LOOKED_AT = 24
"""Images that are read to see that there is something in them."""

FETCH_CAPTIONS = (
    "Fetch annotations_trainval2017.zip from images.cocodataset.org/annotations and unpack it in "
    f"{STIMULI} of the dataset's root."
)


def caption_paths(root: Path, names: Sequence[str] | None) -> list[Path]:
    """Caption files of the config: relative to the root, or to its folder of stimuli."""
    paths = []
    for name in names or CAPTION_FILES:
        in_root, in_stimuli = root / name, root / STIMULI / name
        paths.append(in_root if in_root.exists() else in_stimuli)
    return paths


def read_stimulus_table(path: Path) -> "pd.DataFrame":
    """Columns cocoId (int64) and cocoSplit (str) of `nsd_stim_info_merged.csv`; row = 73K id.

    Raises
    ------
    InputError
        if columns are missing or nsdId is not the row's own number, counted from 0
    """
    import pandas as pd

    columns = ["nsdId", "cocoId", "cocoSplit"]
    if not path.is_file():
        raise InputError(path, "NSD's stimulus table", "nothing", FETCH)
    try:
        table = pd.read_csv(path, usecols=lambda name: name in columns)
    except (ValueError, UnicodeDecodeError, OSError) as error:
        raise InputError(path, "a CSV table", str(error).splitlines()[0]) from None
    missing = [name for name in columns if name not in table]
    if missing:
        raise InputError(path, f"columns {', '.join(columns)}", f"no {missing[0]}")
    if not pd.api.types.is_integer_dtype(table["cocoId"]):
        raise InputError(path, "whole numbers as cocoId", f"{table['cocoId'].dtype}")
    if not np.array_equal(table["nsdId"].to_numpy(), np.arange(len(table))):
        first = table["nsdId"].iloc[0] if len(table) else "no rows"
        raise InputError(path, "nsdId 0, 1, 2, ... (counted from 0)", f"{first} first, or gaps")
    return table


def compare_with_design(path: Path, shared: np.ndarray) -> None:
    """Raise InputError if the table's `shared1000` marks other images than the design's shared.

    Parameters
    ----------
    shared : 73K ids from 0; a table without the column is not compared
    """
    import pandas as pd

    table = pd.read_csv(path, usecols=lambda name: name == "shared1000")
    if "shared1000" not in table:
        return
    marked = np.flatnonzero(table["shared1000"].astype(str).str.lower().isin(["true", "1"]))
    if not np.array_equal(marked, np.sort(shared)):
        own, theirs = np.setdiff1d(marked, shared), np.setdiff1d(shared, marked)
        found = f"{len(own)} others, such as {own[0]}" if len(own) else f"no {theirs[0]}"
        raise InputError(
            path, "shared1000 for the images that nsd_expdesign.mat shares", found, REPLACE
        )


def read_captions(paths: Sequence[Path], table: "pd.DataFrame") -> dict[int, list[str]]:
    """Every caption of every picture of the table, by 73K id, in the files' own order.

    An image's captions come from the file of its own cocoSplit where the file's name says which
    that is. Pictures may have more than five captions; empty ones are left out.

    Raises
    ------
    InputError
        if a file is no COCO caption file
    """
    by_split = [(path, _read_coco(path)) for path in paths]
    captions: dict[int, list[str]] = {}
    splits = table["cocoSplit"].fillna("").astype(str).tolist()
    for nsd_id, (coco_id, split) in enumerate(zip(table["cocoId"].tolist(), splits, strict=True)):
        named = [found for path, found in by_split if split in path.name]
        for found in named or [found for _, found in by_split]:
            if coco_id in found:
                captions[nsd_id] = found[coco_id]
                break
    return captions


def _read_coco(path: Path) -> dict[int, list[str]]:
    import json

    if not path.is_file():
        raise InputError(path, "COCO captions", "nothing", FETCH_CAPTIONS)
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(path, "COCO captions that may be read", str(error)) from None
    except UnicodeDecodeError as error:
        raise InputError(path, "COCO's caption format", str(error), FETCH_CAPTIONS) from None
    try:
        annotations = json.loads(content)["annotations"]
        found: dict[int, list[str]] = {}
        seen: set[int] = set()
        for annotation in annotations:
            if annotation["id"] in seen:
                raise InputError(path, "each annotation id once", f"{annotation['id']} again")
            seen.add(annotation["id"])
            text = " ".join(annotation["caption"].split())
            if text:
                found.setdefault(int(annotation["image_id"]), []).append(text)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            path, "COCO's caption format", f"{type(error).__name__}: {error}", FETCH_CAPTIONS
        ) from None
    return found


def describe_stimuli(path: Path, ids: np.ndarray) -> str:
    """Shape and type of `nsd_stimuli.hdf5`, after reading some of the images that are wanted.

    Parameters
    ----------
    ids : ascending 73K ids from 0

    Raises
    ------
    InputError
        if one of them is not in the file, or one of those read is one colour or another's copy
    """
    with _open(path) as file:
        bricks = _checked(path, file, int(ids[-1]))
        _require_written(path, bricks, ids)
        chosen = np.linspace(0, len(ids) - 1, min(LOOKED_AT, len(ids))).astype(int)
        seen: dict[bytes, int] = {}
        for nsd_id in ids[chosen].tolist():
            other = seen.setdefault(_read(path, bricks, nsd_id).tobytes(), nsd_id)
            if other != nsd_id:
                raise InputError(
                    path, f"a picture of its own as image {nsd_id}", f"{other}'s", REPLACE
                )
        return f"{bricks.shape} {bricks.dtype}, {len(chosen)} of {len(ids):,} images looked at"


def read_stimulus(path: Path, nsd_id: int) -> np.ndarray:
    """The picture (height, width, 3) uint8 with a 0-based 73K id."""
    with _open(path) as file:
        return _read(path, _checked(path, file, nsd_id), nsd_id)


def _read(path: Path, bricks, nsd_id: int) -> np.ndarray:
    try:
        picture = bricks[nsd_id]
    except (OSError, RuntimeError) as error:
        raise InputError(path, "readable images", str(error).splitlines()[0], REPLACE) from None
    # HDF5 gives zeros for what was never written, and so does a download that broke off.
    if (picture == picture[0, 0, 0]).all():
        raise InputError(path, f"a photograph as image {nsd_id}", "one grey all over", REPLACE)
    return picture


def _require_written(path: Path, bricks, ids: np.ndarray) -> None:
    """Raise InputError unless every chunk of some images is in the file."""
    if not bricks.chunks:
        if bricks.id.get_storage_size() < bricks.nbytes:
            raise InputError(path, "images", "nothing: they were never written", REPLACE)
        return
    sides = np.asarray(bricks.chunks)
    per_axis = -(-np.asarray(bricks.shape) // sides)
    if bricks.id.get_num_chunks() == per_axis.prod():
        return
    written = np.zeros(per_axis[0], dtype=np.int64)

    def note(chunk) -> None:
        written[chunk.chunk_offset[0] // sides[0]] += 1

    bricks.id.chunk_iter(note)
    whole = written[ids // sides[0]] == per_axis[1:].prod()
    if not whole.all():
        found = (
            f"nothing for {(~whole).sum():,} of {len(ids):,}, the first of them {ids[~whole][0]}"
        )
        raise InputError(path, "every image that is shown", found, REPLACE)


def _open(path: Path):
    import h5py

    if not path.is_file():
        raise InputError(path, "NSD's pictures", "nothing", FETCH)
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        raise InputError(path, "a whole HDF5 file", str(error).splitlines()[0], REPLACE) from None


def _checked(path: Path, file, last: int):
    import h5py

    bricks = file.get("imgBrick")
    if not isinstance(bricks, h5py.Dataset):
        kind = "a group of that name" if bricks is not None else f"only {', '.join(file)}"
        raise InputError(path, "a dataset 'imgBrick'", kind, REPLACE)
    if bricks.ndim != 4 or bricks.shape[-1] != 3 or bricks.dtype != np.uint8 or not bricks.size:
        raise InputError(
            path, "imgBrick (images, height, width, 3) uint8", f"{bricks.shape} {bricks.dtype}"
        )
    if last >= len(bricks):
        raise InputError(path, f"an image {last} (counted from 0)", f"{len(bricks)} images")
    return bricks
