"""The gallery's files: strips of small pictures, and data in `.js` shards.

A page that is opened from disk may not fetch, but it may load scripts. Each subject has one shard
with its images (ids, captions, distance to training) and one for each method (scores of every
sample); the page loads a shard when it is first shown.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afterimage.errors import InputError
from afterimage.report.directions import Directions
from afterimage.report.inputs import Pictures, Subject, natural
from afterimage.report.pictures import COPY_LIMIT, file_name, write_all, write_strip
from afterimage.report.words import (
    method_hint,
    method_name,
    method_order,
    metric_name,
    metric_order,
    space_name,
)

if TYPE_CHECKING:
    import pandas as pd

SEEN = "_seen"
"""Folder of the seen pictures, beside one for each method."""


@dataclass
class Gallery:
    """What the page knows of one subject's gallery before it loads any shard."""

    subject: Subject
    image_ids: list[str]
    methods: list[str]
    metrics: list[tuple[str, str]]
    spaces: list[str]
    n_pictures: int
    captions: dict[str, list[str]] = field(default_factory=dict)
    native: dict[str, int | None] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The subject as links write it: 'dataset/subject'."""
        return "/".join(self.subject)


def write_gallery(
    folder: Path,
    subject: Subject,
    pictures: Sequence[Pictures],
    scores: "pd.DataFrame",
    novelty: "pd.DataFrame",
    dataset: Any,
    threads: int = 1,
) -> Gallery:
    """Write one subject's pictures and shards below `folder`.

    Parameters
    ----------
    scores : this subject's image scores (method, image_id, sample, protocol, metric, value)
    novelty : image_id, space, distance (and nearest, where known) of this subject's test images
    dataset : has `image(image_id)` and `captions(image_id)`
    """
    ids = sorted({name for method in pictures for name in method.files}, key=natural)
    by_method = {method.method: method for method in pictures}
    # What a perfect decoder would show stands beside what was seen.
    methods = sorted(method_order(by_method), key=lambda name: name != "oracle")
    n_pictures = sum(len(files) for method in pictures for files in method.files.values())
    copy = n_pictures <= COPY_LIMIT
    _write_pictures(folder, subject, by_method, ids, dataset, copy, threads)
    captions = _captions(dataset, ids)
    metrics = _metrics(scores)
    spaces = sorted(novelty["space"].unique()) if len(novelty) else []
    key = "/".join(subject)
    shards = folder / "data" / subject[0] / subject[1]
    shards.mkdir(parents=True, exist_ok=True)
    _write_shard(shards / "images.js", "images", key, _images(ids, captions, novelty, spaces))
    for method in methods:
        value = _method(folder, by_method[method], ids, scores, metrics, copy)
        _write_shard(shards / f"{file_name(method)}.js", "method", key, {"method": method, **value})
    native = {name: by_method[name].native_size for name in methods}
    return Gallery(subject, ids, methods, metrics, spaces, n_pictures, captions, native)


def _captions(dataset: Any, ids: list[str]) -> dict[str, list[str]]:
    """Captions by image; none where they cannot be read: scoring pictures needs no captions."""
    try:
        return {image_id: list(dataset.captions(image_id)) for image_id in ids}
    except InputError as error:
        print(f"the page shows no captions: {error}")
        return {image_id: [] for image_id in ids}


def _write_pictures(
    folder: Path,
    subject: Subject,
    by_method: dict[str, Pictures],
    ids: list[str],
    dataset: Any,
    copy: bool,
    threads: int,
) -> None:
    small = folder / "thumbs" / subject[0] / subject[1]
    large = folder / "pictures" / subject[0] / subject[1]
    jobs = []

    def targets(method: str, image_id: str, count: int, keep: bool) -> tuple[Path, list[Path]]:
        name = file_name(image_id)
        files = [large / method / f"{name}_{sample}.jpg" for sample in range(count) if keep]
        return small / method / f"{name}.webp", files

    for method in [SEEN, *map(file_name, by_method)]:
        (small / method).mkdir(parents=True, exist_ok=True)
        if copy or method == SEEN:
            (large / method).mkdir(parents=True, exist_ok=True)

    def write_seen(image_id: str) -> None:
        strip, files = targets(SEEN, image_id, 1, True)
        write_strip([dataset.image(image_id)], strip, files)

    # Files that readers keep open (HDF5) are not for several threads at once.
    write_all(
        [partial(write_seen, image_id) for image_id in ids], f"seen pictures, {', '.join(subject)}"
    )
    for method, found in by_method.items():
        for image_id, files in found.files.items():
            jobs.append(
                partial(write_strip, files, *targets(file_name(method), image_id, len(files), copy))
            )
    write_all(jobs, f"reconstructions, {', '.join(subject)}", threads)


def _metrics(scores: "pd.DataFrame") -> list[tuple[str, str]]:
    known = scores[scores["value"].notna()]
    found = zip(known["protocol"].astype(str), known["metric"].astype(str), strict=True)
    return sorted(set(found), key=metric_order)


def _images(
    ids: list[str], captions: dict[str, list[str]], novelty: "pd.DataFrame", spaces: list[str]
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ids": ids,
        "files": [file_name(image_id) for image_id in ids],
        "captions": [captions[image_id] for image_id in ids],
        "distance": {},
    }
    for space in spaces:
        rows = novelty[novelty["space"] == space].set_index("image_id")["distance"]
        result["distance"][space] = [_short(rows.get(image_id)) for image_id in ids]
    return result


def _method(
    folder: Path,
    pictures: Pictures,
    ids: list[str],
    scores: "pd.DataFrame",
    metrics: list[tuple[str, str]],
    copy: bool,
) -> dict[str, Any]:
    counts = [len(pictures.files.get(image_id, [])) for image_id in ids]
    rows = scores[scores["method"] == pictures.method]
    rows = rows.sort_values(["image_id", "sample"])
    values: dict[str, list] = {}
    for protocol, metric in metrics:
        chosen = rows[(rows["protocol"] == protocol) & (rows["metric"] == metric)]
        if chosen["value"].notna().any():
            lists = chosen.groupby("image_id")["value"].agg(list)
            values[f"{protocol}:{metric}"] = [
                [_short(value) for value in lists.get(image_id, [])] for image_id in ids
            ]
    links = None
    if not copy:
        relative = partial(os.path.relpath, start=folder)
        links = [
            [relative(path).replace(os.sep, "/") for path in pictures.files.get(image_id, [])]
            for image_id in ids
        ]
    return {"counts": counts, "scores": values, "links": links}


def _short(value: float | None) -> float | None:
    """Four significant digits: enough to sort by, and small on disk."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.4g}")


def _write_shard(path: Path, kind: str, key: str, value: dict[str, Any]) -> None:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    # A line separator inside a string would end a line in older engines.
    text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    path.write_text(f"receive({json.dumps(kind)},{json.dumps(key)},{text});\n", encoding="utf-8")


def catalogue(
    galleries: Sequence[Gallery], directions: Directions, simulated: Mapping[str, bool]
) -> dict[str, Any]:
    """What the page's script knows from the start: subjects, methods, metrics and their names."""
    methods = {name for gallery in galleries for name in gallery.methods}
    metrics = {pair for gallery in galleries for pair in gallery.metrics}
    return {
        "subjects": [
            {
                "key": gallery.key,
                "label": f"{gallery.subject[0]}, {gallery.subject[1]}",
                "dataset": gallery.subject[0],
                "simulated": simulated.get(gallery.subject[0], False),
                "n": len(gallery.image_ids),
                "methods": gallery.methods,
                "metrics": [":".join(pair) for pair in gallery.metrics],
                "spaces": gallery.spaces,
            }
            for gallery in galleries
        ],
        "methods": {
            name: {
                "label": method_name(name),
                "hint": method_hint(name),
                "file": file_name(name),
            }
            for name in sorted(methods)
        },
        "spaces": {
            name: space_name(name) for gallery in galleries for name in sorted(gallery.spaces)
        },
        "metrics": {
            ":".join(pair): {
                "label": f"{metric_name(pair[1])} ({pair[0]})",
                "better": directions.better(pair),
            }
            for pair in sorted(metrics)
        },
    }
