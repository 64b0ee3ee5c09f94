"""Categories of test images, for the score that knowing the category alone would give."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afterimage.errors import InputError
from afterimage.splits import concept_of
from afterimage.stores import read_table

if TYPE_CHECKING:
    import pandas as pd


def read_categories(
    settings: Mapping[str, Mapping[str, Any]], scores: "pd.DataFrame"
) -> dict[str, dict[str, Any]]:
    """Labels of every dataset's images, with their source in words.

    Parameters
    ----------
    settings : dataset -> {`source`: `concept` (in THINGS image ids) or `file`, `path`}
    scores : image scores, for the ids

    Returns
    -------
    dataset -> {`labels`: image id -> category, `source`}
    """
    found = {}
    for dataset, entry in settings.items():
        if entry["source"] == "concept":
            ids = set() if scores.empty else {*scores.loc[scores["dataset"] == dataset, "image_id"]}
            labels = {name: concept_of(name) for name in ids - {""}}
            found[dataset] = {"labels": labels, "source": "concepts in the image ids"}
        elif entry["source"] == "file":
            found[dataset] = {
                "labels": read_labels(entry["path"]),
                "source": Path(entry["path"]).name,
            }
        else:
            raise InputError(f"categories of {dataset}", "concept or file", repr(entry["source"]))
    return found


def read_labels(path: str) -> dict[str, str]:
    """Image id -> category from a CSV; InputError where the file or a column is missing."""
    if not Path(path).is_file():
        raise InputError(path, "a CSV of image_id and category", "nothing")
    table = read_table(path)
    if not {"image_id", "category"} <= set(table.columns):
        raise InputError(path, "columns image_id and category", ", ".join(table.columns))
    return dict(zip(table["image_id"], table["category"].astype(str), strict=True))
