"""The charts of the decoders' and methods' scores; each function returns a matplotlib figure."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from afterimage.report.directions import Directions
from afterimage.report.drawing import (
    COLOURS,
    DECODER_COLOURS,
    FAINT,
    INK,
    METHOD_COLOURS,
    new_figure,
)
from afterimage.report.words import (
    DECODERS,
    method_group,
    method_name,
    method_order,
    metric_name,
    words,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def dot_plot(
    rows: "pd.DataFrame",
    columns: Sequence[tuple[str, str]],
    directions: Directions,
    title: str,
) -> "Figure":
    """Methods by metrics: a dot at the value, a line over its interval, a dashed one at chance.

    Parameters
    ----------
    rows : one subject's rows of image_metrics.csv
    columns : (protocol, metric) of each panel
    """
    methods = method_order(rows["method"].unique())[::-1]
    figure, axes = new_figure(
        1.5 + 1.55 * len(columns), 0.75 + 0.24 * len(methods), 1, len(columns), sharey=True
    )
    for axis, (protocol, metric) in zip(axes[0], columns, strict=True):
        chosen = rows[(rows["protocol"] == protocol) & (rows["metric"] == metric)]
        by_method = chosen.set_index("method")
        for height, method in enumerate(methods):
            if method not in by_method.index:
                continue
            row = by_method.loc[method]
            colour = METHOD_COLOURS.get(method, COLOURS["amber"])
            axis.plot([row["low"], row["high"]], [height, height], color=colour, linewidth=2)
            marker = "D" if method_group(method) == "control" else "o"
            axis.plot([row["value"]], [height], marker, color=colour, markersize=5)
        chance = directions.chance((protocol, metric))
        if chance is not None:
            axis.axvline(chance, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)))
        name = f"{metric_name(metric)} {directions.arrow((protocol, metric))}".strip()
        axis.set_title(name, fontsize=8)
        axis.grid(axis="x")
        axis.set_axisbelow(True)
        axis.margins(x=0.12, y=0.12)
        axis.locator_params(axis="x", nbins=4)
    axes[0, 0].set_yticks(range(len(methods)), [method_name(method) for method in methods])
    figure.suptitle(title, x=0.005, ha="left", fontsize=9, fontweight="bold", color=INK)
    return figure


def forest_plot(rows: "pd.DataFrame", title: str) -> "Figure":
    """Paired differences as points with intervals, one panel a metric, zero marked.

    Parameters
    ----------
    rows : columns panel, label, value, low, high; positive where the first named is better
    """
    panels = list(dict.fromkeys(rows["panel"]))
    labels = list(dict.fromkeys(rows["label"]))[::-1]
    width = 0.7 + 0.065 * max(map(len, labels)) + 1.5 * len(panels)
    figure, axes = new_figure(width, 0.8 + 0.23 * len(labels), 1, len(panels), sharey=True)
    for axis, panel in zip(axes[0], panels, strict=True):
        axis.axvline(0, color=FAINT, linewidth=0.9)
        for _, row in rows[rows["panel"] == panel].iterrows():
            height = labels.index(row["label"])
            sign = "blue" if row["low"] > 0 else "orange" if row["high"] < 0 else "grey"
            axis.plot([row["low"], row["high"]], [height] * 2, color=COLOURS[sign], linewidth=2)
            axis.plot([row["value"]], [height], "o", color=COLOURS[sign], markersize=4.5)
        axis.set_title(panel, fontsize=8)
        axis.grid(axis="x")
        axis.set_axisbelow(True)
        axis.margins(x=0.12)
        axis.set_ylim(-0.5, len(labels) - 0.5)
        axis.locator_params(axis="x", nbins=3, steps=[1, 2, 5, 10])
    axes[0, 0].set_yticks(range(len(labels)), labels)
    figure.supxlabel("difference (right of zero: the first named is better)", fontsize=8.5)
    figure.suptitle(title, x=0.005, ha="left", fontsize=9, fontweight="bold", color=INK)
    return figure


def training_curves(histories: Mapping[tuple[str, str], "pd.DataFrame"], title: str) -> "Figure":
    """Training and validation error over epochs, one panel for each target and decoder.

    Parameters
    ----------
    histories : (target, decoder) -> columns epoch, train, validation
    """
    names = list(histories)
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure, axes = new_figure(0.5 + 1.95 * columns, 0.35 + 1.6 * rows, rows, columns)
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    for axis, (target, decoder) in zip(axes.flat, names, strict=False):
        table = histories[target, decoder]
        colour = DECODER_COLOURS.get(decoder, COLOURS["amber"])
        axis.plot(table["epoch"], table["train"], color=FAINT, label="training")
        axis.plot(table["epoch"], table["validation"], color=colour, label="validation")
        best = table.loc[table["validation"].idxmin()]
        axis.plot([best["epoch"]], [best["validation"]], "o", color=colour, markersize=5)
        axis.set_title(f"{DECODERS.get(decoder, words(decoder))}, {target}")
        axis.set_xlabel("epoch")
        axis.set_ylabel("MSE")
        axis.locator_params(nbins=4)
        axis.legend(loc="upper right")
    figure.suptitle(title, x=0.005, ha="left", fontsize=9, fontweight="bold", color=INK)
    return figure


def novelty_plot(
    distance: Mapping[str, np.ndarray],
    values: Mapping[str, np.ndarray],
    names: tuple[str, str],
    title: str,
) -> "Figure":
    """Score against distance to the nearest training image, with means of four equal parts.

    Parameters
    ----------
    distance, values : method -> one number an image, in the same order
    names : of the distance and of the score
    """
    figure, axes = new_figure(5.6, 2.9)
    axis = axes[0, 0]
    for method in method_order(distance):
        x, y = distance[method], values[method]
        colour = METHOD_COLOURS.get(method, COLOURS["amber"])
        order = np.argsort(x, kind="stable")
        size = 14 if len(x) <= 200 else 5
        axis.scatter(x, y, s=size, color=colour, alpha=0.4, linewidths=0, rasterized=len(x) > 400)
        parts = [part for part in np.array_split(order, 4) if len(part)]
        axis.plot(
            [x[part].mean() for part in parts],
            [y[part].mean() for part in parts],
            "o-",
            color=colour,
            markersize=5,
            label=method_name(method),
        )
    axis.set_xlabel(names[0])
    axis.set_ylabel(names[1])
    axis.grid()
    axis.set_axisbelow(True)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    axis.set_title(title)
    return figure
