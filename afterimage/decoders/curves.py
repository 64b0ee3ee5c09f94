"""Training curves as a small SVG, drawn by hand: no plotting library in every training job."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from afterimage import stores

WIDTH, HEIGHT, MARGIN = 480, 300, 48
COLOURS = {"train": "#4477aa", "validation": "#cc6677"}


def write_curves(path: str | Path, history: Sequence[Mapping[str, float]]) -> None:
    """Draw the train and validation errors of every epoch; mark the epoch that was kept."""
    values = [row[name] for row in history for name in COLOURS]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    last = max(row["epoch"] for row in history)

    def place(epoch: float, value: float) -> tuple[float, float]:
        across = MARGIN + (epoch - 1) / max(1, last - 1) * (WIDTH - 2 * MARGIN)
        return across, HEIGHT - MARGIN - (value - low) / span * (HEIGHT - 2 * MARGIN)

    best = min(history, key=lambda row: row["validation"])
    x, y = place(best["epoch"], best["validation"])
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<path d="M{MARGIN},{MARGIN} V{HEIGHT - MARGIN} H{WIDTH - MARGIN}" '
        'fill="none" stroke="#888"/>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">epoch (1 to {last})</text>',
        f'<text x="4" y="{MARGIN - 8}">mean squared error</text>',
        f'<text x="4" y="{MARGIN + 4}">{high:.4g}</text>',
        f'<text x="4" y="{HEIGHT - MARGIN}">{low:.4g}</text>',
    ]
    for index, (name, colour) in enumerate(COLOURS.items()):
        points = " ".join(
            "{:.1f},{:.1f}".format(*place(row["epoch"], row[name])) for row in history
        )
        lines.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        lines.append(
            f'<text x="{WIDTH - MARGIN}" y="{MARGIN + 16 * index}" text-anchor="end" '
            f'fill="{colour}">{name}</text>'
        )
    lines.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{COLOURS["validation"]}"/>')
    with stores.whole(path) as temporary:
        temporary.write_text("\n".join([*lines, "</svg>"]) + "\n")
