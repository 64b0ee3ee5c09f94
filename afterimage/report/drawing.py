"""How figures look, and how one is saved: SVG and PNG files for print, SVG for the page."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afterimage.stores import whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#1b1d20"
"""Text and lines on paper; on the page it becomes the colour of the page's own text."""

FAINT = "#8a8f98"
"""Grids, frames and reference lines: visible on white and on black."""

COLOURS = {
    "blue": "#0072b2",
    "orange": "#d55e00",
    "green": "#009e73",
    "sky": "#56b4e9",
    "purple": "#cc79a7",
    "amber": "#e69f00",
    "grey": FAINT,
}
"""Okabe and Ito's palette: told apart with any kind of colour vision, and on light and dark."""

METHOD_COLOURS = {
    "best": COLOURS["blue"],
    "linear": COLOURS["orange"],
    "oracle": COLOURS["green"],
    "shuffled": COLOURS["grey"],
    "mean": COLOURS["grey"],
    "image_only": COLOURS["sky"],
    "text_only": COLOURS["purple"],
}

DECODER_COLOURS = {
    "linear": COLOURS["orange"],
    "cnn": COLOURS["green"],
    "vae": COLOURS["purple"],
    "gcn": COLOURS["blue"],
}

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.7,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.unicode_minus": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "grid.color": FAINT,
    "grid.linewidth": 0.4,
    "grid.alpha": 0.5,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.5,
    "savefig.dpi": 200,
    "svg.hashsalt": "afterimage",
}


@contextmanager
def style() -> Iterator[None]:
    """Draw inside this block: no display is needed, and every figure looks alike."""
    import matplotlib

    matplotlib.use("Agg")
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        yield


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **options):
    """A figure of so many inches with its axes as an array (rows, columns)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def save_figure(figure: "Figure", name: str, folder: Path) -> str:
    """Write `name`.svg and `name`.png on white, and return an SVG for the page.

    The page's SVG takes the page's text colour and has ids that no other figure shares.
    """
    import matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    # Lay out once: each save would otherwise do it again, twice.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    box = figure.get_tightbbox().padded(0.06)
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches=box)
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", buffer.getvalue(), flags=re.S)
    opening = re.search(r"<svg[^>]*>", svg)
    assert opening is not None
    paper = '<rect width="100%" height="100%" fill="white"/>'
    with whole(folder / f"{name}.svg") as temporary:
        text = svg[: opening.end()] + paper + svg[opening.end() :]
        temporary.write_text(text.replace("'DejaVu Sans'", "'DejaVu Sans', sans-serif"), "utf-8")
    with whole(folder / f"{name}.png") as temporary:
        png: dict[str, Any] = {"facecolor": "white", "metadata": {"Software": None}}
        figure.savefig(temporary, format="png", bbox_inches=box, **png)
    return _for_page(svg, name)


def _for_page(svg: str, name: str) -> str:
    svg = svg[svg.index("<svg") :]
    prefix = re.sub(r"[^A-Za-z0-9]+", "-", name)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', svg)
    svg = svg.replace(INK, "currentColor")
    # Its size comes from the page; the view box keeps the proportions.
    width = re.search(r'<svg[^>]*? width="([\d.]+)pt"', svg)
    points = float(width.group(1)) if width else 400.0
    svg = re.sub(r'(<svg[^>]*?) width="[^"]+"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]+"', r"\1", svg, count=1)
    style = f'style="width:{points * 1.5:.0f}px"'
    return svg.replace("<svg", f'<svg aria-hidden="true" focusable="false" {style}', 1)
