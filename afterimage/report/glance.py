"""One picture of a subject's reconstructions, chosen by a rule and not by hand."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from afterimage.report.directions import Directions
from afterimage.report.drawing import INK
from afterimage.report.gallery import Gallery
from afterimage.report.inputs import Pictures
from afterimage.report.page import Chart
from afterimage.report.words import method_name

if TYPE_CHECKING:
    import pandas as pd

ROWS = ("oracle", "best", "linear", "shuffled")
SIDE, GAP, MARGIN, TOP = 128, 4, 112, 36
"""Pixels: of a picture, between two, left for the methods' names, and above for the title."""

COLUMNS = 8


def choose_images(
    scores: "pd.DataFrame", ids: Sequence[str], directions: Directions, n: int = COLUMNS
) -> list[str]:
    """Images at even ranks of the best decoder's score, from best to worst; by id without scores.

    Parameters
    ----------
    scores : one subject's image scores
    ids : the candidates
    """
    rows = scores[(scores["method"] == "best") & scores["value"].notna()]
    rows = rows[rows["image_id"].isin(ids)]
    ordered = list(ids)
    for metric in ("lpips_alex", "ssim", "pcc"):
        chosen = rows[rows["metric"] == metric]
        if len(chosen):
            first = chosen["protocol"].min()
            means = chosen[chosen["protocol"] == first].groupby("image_id")["value"].mean()
            ascending = directions.better((first, metric)) == "lower"
            ordered = list(means.sort_values(ascending=ascending, kind="stable").index)
            break
    places = np.unique(np.linspace(0, len(ordered) - 1, min(n, len(ordered))).round().astype(int))
    return [str(ordered[place]) for place in places]


def glance_chart(
    folder: Path,
    gallery: Gallery,
    scores: "pd.DataFrame",
    pictures: Sequence[Pictures],
    dataset: Any,
    directions: Directions,
    simulated: bool,
) -> Chart:
    """Write the grid beside the page and among the figures, and give it as a chart."""
    ids = choose_images(scores, gallery.image_ids, directions)
    grid = draw_grid(gallery, ids, pictures, dataset, simulated)
    name = f"{'-'.join(gallery.subject)}-grid"
    for path in (folder / "thumbs" / f"{name}.png", folder.parent / "figures" / f"{name}.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        grid.save(path, "PNG")
    caption = (
        f"{', '.join(gallery.subject)}: {len(ids)} of {len(gallery.image_ids)} test images, at "
        "even ranks of the best decoder's score from its best (left) to its worst (right); first "
        "sample of each method. Chosen by this rule, not by hand."
    )
    mark = "Simulated data. " if simulated else ""
    rows = ", ".join(method_name(method) for method in _rows(pictures))
    described = "; ".join(f"{i}: {gallery.captions[i][0]}" for i in ids if gallery.captions[i])
    alt = f"{mark}Grid of pictures. Rows: seen, {rows}. Columns: {described}."
    url = quote(f"thumbs/{name}.png")
    image = f'<img src="{url}" width="{grid.width}" height="{grid.height}" alt="" decoding="async">'
    return Chart(name, image, mark + caption, alt)


def _rows(pictures: Sequence[Pictures]) -> list[str]:
    present = {found.method for found in pictures}
    return [name for name in ROWS if name in present]


def draw_grid(
    gallery: Gallery,
    ids: Sequence[str],
    pictures: Sequence[Pictures],
    dataset: Any,
    simulated: bool,
):
    """Draw the seen pictures and each method's first sample below them, as a Pillow image."""
    from PIL import Image, ImageDraw

    files = {found.method: found.files for found in pictures}
    methods = _rows(pictures)
    size = (MARGIN + len(ids) * (SIDE + GAP), TOP + (1 + len(methods)) * (SIDE + GAP))
    canvas = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(canvas)
    font = _font(20)
    title = ", ".join(gallery.subject) + (" – SIMULATED DATA" if simulated else "")
    pen.text((2, 5), title, fill=INK, font=font)
    for row, name in enumerate(["seen", *methods]):
        y = TOP + row * (SIDE + GAP)
        text = "Seen" if name == "seen" else method_name(name).removesuffix(" decoder")
        pen.text((2, y + SIDE // 2 - 12), text, fill=INK, font=font)
        for column, image_id in enumerate(ids):
            if name == "seen":
                picture = Image.fromarray(dataset.image(image_id)).convert("RGB")
            elif files[name].get(image_id):
                with Image.open(files[name][image_id][0]) as opened:
                    picture = opened.convert("RGB")
            else:
                continue
            small = picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            canvas.paste(small, (MARGIN + column * (SIDE + GAP), y))
    return canvas


def _font(size: int):
    """DejaVu Sans as matplotlib brings it: the same letters on every machine."""
    import matplotlib
    from PIL import ImageFont

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / "DejaVuSans.ttf"), size)
