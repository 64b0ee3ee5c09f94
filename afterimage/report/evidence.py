"""The charts of scores, comparisons and training, subject by subject."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from afterimage.report.comparisons import score_name
from afterimage.report.directions import Directions
from afterimage.report.drawing import save_figure, style
from afterimage.report.inputs import Placed, Subject, by_subject
from afterimage.report.page import Block, Chart
from afterimage.report.words import (
    decoder_name,
    method_name,
    method_place,
    metric_name,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Save = Callable[["Figure", str, str, str], Chart]


def saver(folder: Path, subject: Subject, simulated: bool) -> Save:
    """A function that saves one subject's figures, named after it, and makes charts of them."""
    prefix = "-".join(subject)

    def save(figure: "Figure", name: str, caption: str, description: str) -> Chart:
        mark = "Simulated data. " if simulated else ""
        svg = save_figure(figure, f"{prefix}-{name}", folder)
        return Chart(f"{prefix}-{name}", svg, mark + caption, mark + description)

    return save


def label(subject: Subject, simulated: bool) -> str:
    """A subject as figure titles name it; simulated data say so in the figure itself."""
    return f"{subject[0]}, {subject[1]}{' (SIMULATED DATA)' if simulated else ''}"


def dot_blocks(
    table: "pd.DataFrame | None",
    columns: Sequence[tuple[str, str]],
    directions: Directions,
    simulated: Mapping[str, bool],
    folder: Path,
) -> list[Block]:
    """Values of the headline metrics with intervals, one chart a subject."""
    from afterimage.report.figures import dot_plot

    blocks = []
    for subject, rows in by_subject(table):
        known = rows[rows["value"].notna()]
        shown = [
            pair
            for pair in columns
            if len(known[(known["protocol"] == pair[0]) & (known["metric"] == pair[1])])
        ]
        if not shown:
            continue
        is_simulated = simulated.get(subject[0], False)
        with style():
            title = f"Test pictures, {label(subject, is_simulated)}"
            figure = dot_plot(known, shown, directions, title)
            chart = saver(folder, subject, is_simulated)(
                figure,
                "metrics",
                "Values with 95 % intervals; diamonds are controls; dashed: chance in "
                "identification. ↑: higher is better, ↓: lower is better.",
                _describe_values(known, shown, directions),
            )
        blocks.append(Block(subject, is_simulated, [chart]))
    return blocks


def _describe_values(
    rows: "pd.DataFrame", columns: Sequence[tuple[str, str]], directions: Directions
) -> str:
    parts = []
    for protocol, metric in columns:
        chosen = rows[(rows["protocol"] == protocol) & (rows["metric"] == metric)]
        values = ", ".join(
            f"{method_name(r['method'])} {r['value']:.3f}" for _, r in chosen.iterrows()
        )
        better = directions.better((protocol, metric))
        parts.append(
            f"{metric_name(metric)}{f' ({better} is better)' if better else ''}: {values}."
        )
    return " ".join(parts)


def forest_blocks(
    pairs: "pd.DataFrame | None",
    latent_pairs: "pd.DataFrame | None",
    columns: Sequence[tuple[str, str]],
    simulated: Mapping[str, bool],
    folder: Path,
) -> list[Block]:
    """Paired differences of methods (headline metrics) and of decoders, as forest plots."""
    charts: dict[Subject, list[Chart]] = {}
    for subject, rows in by_subject(pairs):
        known = list(zip(rows.get("protocol", rows["score"]), rows["score"], strict=True))
        if "protocol" in rows:
            place = [columns.index(pair) if pair in columns else -1 for pair in known]
            rows = rows.assign(place=place)[np.array(place) >= 0]
            for name in ("first", "second"):
                rows[f"{name}_place"] = [method_place(method) for method in rows[name]]
            rows = rows.sort_values(["place", "first_place", "second_place"], kind="stable")
        chart = _forest(rows, subject, simulated, folder, "methods", "Methods")
        if chart:
            charts.setdefault(subject, []).append(chart)
    for subject, rows in by_subject(latent_pairs):
        rows = rows[rows["score"].isin(["mse", "mse_14", "two_way"])]
        if "target" in rows:
            keep = ~((rows["target"] == "text") & (rows["score"] == "mse"))
            if len(rows[(rows["target"] == "text") & (rows["score"] == "mse_14")]):
                rows = rows[keep]
        chart = _forest(rows, subject, simulated, folder, "decoders", "Decoders")
        if chart:
            charts.setdefault(subject, []).append(chart)
    return [
        Block(subject, simulated.get(subject[0], False), found)
        for subject, found in sorted(charts.items())
    ]


def _forest(
    rows: "pd.DataFrame",
    subject: Subject,
    simulated: Mapping[str, bool],
    folder: Path,
    name: str,
    title: str,
) -> Chart | None:
    import pandas as pd

    from afterimage.report.figures import forest_plot

    if not len(rows):
        return None
    name_of = method_name if name == "methods" else decoder_name
    lines = []
    for _, row in rows.iterrows():
        target = f"{row['target'].capitalize()}: " if isinstance(row.get("target"), str) else ""
        panel = score_name(str(row["score"]))
        pair = f"{name_of(row['first'])} − {name_of(row['second'])}"
        lines.append(
            {
                # Differences are turned already: an arrow would say which way the score points.
                "panel": f"{target}{panel}",
                "label": pair,
                "value": row["gain"],
                "low": row["gain_low"],
                "high": row["gain_high"],
            }
        )
    table = pd.DataFrame(lines)
    is_simulated = simulated.get(subject[0], False)
    description = " ".join(
        f"{r['panel']}, {r['label']}: {r['value']:.3f} from {r['low']:.3f} to {r['high']:.3f}."
        for r in lines
    )
    with style():
        figure = forest_plot(table, f"{title} compared, {label(subject, is_simulated)}")
        return saver(folder, subject, is_simulated)(
            figure,
            f"comparisons-{name}",
            "Differences on the same images, with 95 % intervals, turned so that right of zero "
            "means that the first named is better.",
            description,
        )


def read_histories(files: Sequence[Placed]) -> dict[Subject, dict[tuple[str, str], "pd.DataFrame"]]:
    """Training histories by subject, then by (target, decoder); those without epochs left out."""
    import pandas as pd

    found: dict[Subject, dict[tuple[str, str], pd.DataFrame]] = {}
    for file in files:
        folder = file.rest[1] if file.rest[0] == "decoders" else file.path.parent.name
        target, _, decoder = folder.partition("-")
        table = pd.read_csv(file.path)
        if {"epoch", "train", "validation"} <= set(table.columns) and len(table) > 1:
            found.setdefault(file.subject, {})[target, decoder] = table
    return found


def curve_blocks(
    histories: Mapping[Subject, Mapping[tuple[str, str], "pd.DataFrame"]],
    simulated: Mapping[str, bool],
    folder: Path,
) -> list[Block]:
    """Training and validation error over epochs, one chart a subject."""
    from afterimage.report.figures import training_curves

    blocks = []
    for subject, tables in sorted(histories.items()):
        is_simulated = simulated.get(subject[0], False)
        ordered = dict(sorted(tables.items()))
        description = " ".join(
            f"{decoder}, {target}: lowest validation error {t['validation'].min():.4f} at epoch "
            f"{int(t.loc[t['validation'].idxmin(), 'epoch'])} of {int(t['epoch'].max())}."
            for (target, decoder), t in ordered.items()
        )
        with style():
            figure = training_curves(ordered, f"Training, {label(subject, is_simulated)}")
            caption = (
                "Error on training trials and validation images; the dot marks the weights kept. "
                "The test set is not part of these curves."
            )
            chart = saver(folder, subject, is_simulated)(figure, "training", caption, description)
        blocks.append(Block(subject, is_simulated, [chart]))
    return blocks
