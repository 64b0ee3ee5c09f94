"""Pictures for the page: small strips for the gallery, large ones for the enlarged view."""

import hashlib
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from afterimage.jobs import progress

THUMB = 160
"""Side of a thumbnail in pixels."""

LARGE = 512
"""Longest side of a picture in the enlarged view, in pixels."""

COPY_LIMIT = 6000
"""Up to as many reconstructions the page holds them large; beyond, it links to the results."""


def file_name(image_id: str) -> str:
    """A name that every file system and URL takes, different for different ids."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", image_id)
    if safe == image_id and not safe.startswith("."):
        return safe
    return f"{safe.lstrip('.')}-{hashlib.sha256(image_id.encode()).hexdigest()[:8]}"


def write_strip(sources: Sequence["np.ndarray | Path"], path: Path, large: Sequence[Path]) -> None:
    """Write one image's samples side by side as one WebP strip, and each of them large.

    Parameters
    ----------
    sources : arrays of uint8 (height, width, 3), or files of pictures
    path : the strip, THUMB pixels high and THUMB pixels wide for each sample
    large : where each sample goes in full, as JPEG; empty for nowhere
    """
    from PIL import Image

    strip = Image.new("RGB", (THUMB * len(sources), THUMB), (128, 128, 128))
    for index, source in enumerate(sources):
        picture = _open(source)
        small = _fit(picture, THUMB)
        corner = ((THUMB - small.width) // 2, (THUMB - small.height) // 2)
        strip.paste(small, (index * THUMB + corner[0], corner[1]))
        if large:
            _fit(picture, LARGE).save(large[index], "JPEG", quality=88, subsampling=0)
    strip.save(path, "WEBP", quality=80, method=2)


def _open(source: "np.ndarray | Path"):
    from PIL import Image

    if isinstance(source, np.ndarray):
        return Image.fromarray(source).convert("RGB")
    with Image.open(source) as picture:
        return picture.convert("RGB")


def _fit(picture, side: int):
    """Scale so that the longer side is `side`, whatever it was."""
    from PIL import Image

    scale = side / max(picture.size)
    size = tuple(max(1, round(length * scale)) for length in picture.size)
    if size == picture.size:
        return picture
    reducing_gap = 2.0 if scale < 0.5 else None
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=reducing_gap)


def write_all(jobs: Sequence[Callable[[], None]], what: str, threads: int = 1) -> None:
    """Run picture jobs, several at a time; Pillow works outside the interpreter's lock."""
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for _ in progress(pool.map(lambda job: job(), jobs), what, len(jobs)):
            pass
