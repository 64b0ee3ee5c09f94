"""NSD's pictures and what COCO's annotators said of them, by 0-based 73K id."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from afterimage.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

STIMULI = "nsddata_stimuli/stimuli/nsd"
CAPTION_FILES = ("annotations/captions_train2017.json", "annotations/captions_val2017.json")
FETCH = "Fetch it with snakemake --cores 8 download_nsd."
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
    except (ValueError, UnicodeDecodeError) as error:
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
    splits = table["cocoSplit"].astype(str).tolist()
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
        annotations = json.loads(path.read_text(encoding="utf-8"))["annotations"]
        found: dict[int, list[str]] = {}
        seen: set[int] = set()
        for annotation in annotations:
            if annotation["id"] in seen:
                raise InputError(path, "each annotation id once", f"{annotation['id']} again")
            seen.add(annotation["id"])
            text = " ".join(annotation["caption"].split())
            if text:
                found.setdefault(int(annotation["image_id"]), []).append(text)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            path, "COCO's caption format", f"{type(error).__name__}: {error}", FETCH_CAPTIONS
        ) from None
    return found


def describe_stimuli(path: Path, last: int) -> str:
    """Shape and type of `nsd_stimuli.hdf5`, after reading one pixel of the image `last`."""
    with _open(path) as file:
        bricks = _checked(path, file, last)
        try:
            bricks[last, 0, 0]
        except (OSError, RuntimeError) as error:
            raise InputError(path, "readable images", str(error).splitlines()[0], FETCH) from None
        return f"{bricks.shape} {bricks.dtype}"


def read_stimulus(path: Path, nsd_id: int) -> np.ndarray:
    """The picture (height, width, 3) uint8 with a 0-based 73K id."""
    with _open(path) as file:
        bricks = _checked(path, file, nsd_id)
        try:
            return bricks[nsd_id]
        except (OSError, RuntimeError) as error:
            raise InputError(path, "readable images", str(error).splitlines()[0], FETCH) from None


def _open(path: Path):
    import h5py

    if not path.is_file():
        raise InputError(path, "NSD's pictures", "nothing", FETCH)
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        raise InputError(path, "a whole HDF5 file", str(error).splitlines()[0], FETCH) from None


def _checked(path: Path, file, last: int):
    bricks = file.get("imgBrick")
    if bricks is None:
        raise InputError(path, "a dataset 'imgBrick'", f"only {', '.join(file)}")
    if bricks.ndim != 4 or bricks.shape[-1] != 3 or bricks.dtype != np.uint8:
        raise InputError(
            path, "imgBrick (images, height, width, 3) uint8", f"{bricks.shape} {bricks.dtype}"
        )
    if last >= len(bricks):
        raise InputError(path, f"an image {last} (counted from 0)", f"{len(bricks)} images")
    return bricks
