"""The report's tables, for the page and as Markdown: values, intervals, and why one is missing."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING

from afterimage.report.directions import Directions
from afterimage.report.words import (
    ARROWS,
    DECODERS,
    SCORES,
    better,
    decoder_name,
    method_group,
    method_hint,
    method_name,
    method_order,
    metric_name,
    metric_order,
    words,
)

if TYPE_CHECKING:
    import pandas as pd

HEADLINE = (
    "report:pcc",
    "report:ssim",
    "report:lpips_alex",
    "report:efficientnet_v2_s",
    "brain-diffuser:alexnet2",
    "brain-diffuser:alexnet5",
)
"""The columns of the headline table: the report's four, then two-way identification."""


@dataclass(frozen=True)
class Cell:
    """One number of a table as text; `value` is '' where there is none, and `reason` says why."""

    value: str = ""
    low: str = ""
    high: str = ""
    reason: str = ""

    @property
    def text(self) -> str:
        """The cell in plain text: '0.412 [0.398, 0.427]'."""
        if not self.value:
            return "not computed" if self.reason else "–"
        return f"{self.value} [{self.low}, {self.high}]" if self.low else self.value


@dataclass(frozen=True)
class Column:
    """A column's name, the arrow of the better direction, and what a reader may want to know.

    `above` stands over neighbouring columns that share it; `words` are set left, numbers right.
    """

    name: str
    arrow: str = ""
    hint: str = ""
    above: str = ""
    words: bool = False


@dataclass
class Row:
    """A row's name and its cells, one a column; `kind` is decoded, other or control.

    `simulated` marks the row where its group does not.
    """

    name: str
    cells: list[Cell]
    kind: str = "decoded"
    hint: str = ""
    simulated: bool = False


@dataclass
class Group:
    """Rows that belong together, under a line of their own."""

    name: str
    rows: list[Row]
    simulated: bool = False
    dataset: str = ""
    subject: str = ""


@dataclass
class Table:
    """A whole table: what it shows, and where it came from."""

    key: str
    caption: str
    first: str
    columns: list[Column]
    groups: list[Group] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def spans(self) -> list[tuple[str, int]]:
        """What stands above neighbouring columns, and above how many; empty where nothing does."""
        above = [column.above for column in self.columns]
        runs = [(name, len(list(run))) for name, run in groupby(above)]
        return runs if any(above) else []

    def __bool__(self) -> bool:
        return any(group.rows for group in self.groups)


def number(value: float, digits: int = 3) -> str:
    """A number for a reader: fixed digits, a true minus sign, '' for none."""
    if value is None or not math.isfinite(value):
        return ""
    text = f"{value:.{digits}f}" if abs(value) < 1e4 else f"{value:.4g}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def cell(row: "pd.Series", digits: int = 3) -> Cell:
    """The cell of one row of a CSV table (value, low, high and, where given, reason)."""
    reason = str(row["reason"]) if isinstance(row.get("reason"), str) else ""
    value = number(float(row["value"]), digits)
    if not value:
        return Cell(reason=reason or "the table holds no value")
    return Cell(value, number(row.get("low"), digits), number(row.get("high"), digits))


def image_columns(table: "pd.DataFrame") -> list[tuple[str, str]]:
    """Every (protocol, metric) of the image table: headline ones first, the rest by name."""
    present = {(str(p), str(m)) for p, m in zip(table["protocol"], table["metric"], strict=True)}
    first = [tuple(name.split(":", 1)) for name in HEADLINE]
    ordered = [pair for pair in first if pair in present]
    return ordered + sorted(present - set(ordered), key=metric_order)  # type: ignore[arg-type, return-value]


def headline_columns(table: "pd.DataFrame") -> list[tuple[str, str]]:
    """The (protocol, metric) pairs of the headline that the table has, else its first six."""
    present = image_columns(table)
    named = [tuple(name.split(":", 1)) for name in HEADLINE]
    return [pair for pair in named if pair in present] or present[:6]  # type: ignore[misc]


def _metric_column(pair: tuple[str, str], directions: Directions) -> Column:
    chance = directions.chance(pair)
    hint = "" if chance is None else f"share of correct choices; chance is {chance:.3g}"
    return Column(metric_name(pair[1]), directions.arrow(pair), hint, f"protocol {pair[0]}")


def image_table(
    table: "pd.DataFrame",
    simulated: Mapping[str, bool],
    columns: list[tuple[str, str]],
    key: str,
    directions: Directions,
) -> Table:
    """Table 4: methods by metrics, a group for each subject, controls below the decoders."""
    groups = []
    for (dataset, subject), rows in table.groupby(["dataset", "subject"]):
        by_cell = {(r["method"], r["protocol"], r["metric"]): r for _, r in rows.iterrows()}
        lines = []
        for method in method_order(rows["method"].unique()):
            found = [by_cell.get((method, *pair)) for pair in columns]
            cells = [Cell() if row is None else cell(row) for row in found]
            name = method_name(method) + _fewer(rows, method)
            lines.append(Row(name, cells, method_group(method), method_hint(method)))
        name = f"{dataset}, {subject}: {_images(rows)}"
        groups.append(Group(name, lines, simulated.get(dataset, False), dataset, subject))
    head = [_metric_column(pair, directions) for pair in columns]
    caption = (
        "Scores of the reconstructed test pictures, with 95 % bootstrap intervals over images. "
        "The controls stand last."
    )
    return Table(key, caption, "Method", head, groups, _reasons(table, columns))


def _images(rows: "pd.DataFrame") -> str:
    images, samples = rows["n_images"].max(), rows["n_samples"].max()
    text = f"{int(images)} test images" if images == images else "test images"
    if samples == samples and samples > 0:
        text += f", {int(samples)} sample{'s' if samples != 1 else ''} each"
    return text


def _fewer(rows: "pd.DataFrame", method: str) -> str:
    """', 12 images' where a method has fewer pictures than the others, else ''."""
    mine = rows.loc[rows["method"] == method, "n_images"].max()
    return f", {int(mine)} images" if 0 < mine < rows["n_images"].max() else ""


def _reasons(table: "pd.DataFrame", columns: Sequence[tuple[str, str]]) -> list[str]:
    """A line for each reason why cells are missing, with the columns that it concerns.

    Methods are named where the same metrics were computed for others.
    """
    if "reason" not in table:
        return []
    pairs = zip(table["protocol"], table["metric"], strict=True)
    table = table[[pair in columns for pair in pairs]]
    notes = []
    missing = table[table["value"].isna() & table["reason"].notna() & (table["reason"] != "")]
    for reason, rows in missing.groupby("reason"):
        names = sorted({metric_name(str(metric)) for metric in rows["metric"]})
        there = table[table["metric"].isin(rows["metric"]) & table["value"].notna()]
        methods = "" if there.empty else f" for {_names(rows['method'], method_name)}"
        notes.append(f"Not computed{methods}, {', '.join(names)}: {reason}")
    return notes


def _names(values: "pd.Series", name_of: Callable[[str], str]) -> str:
    return ", ".join(dict.fromkeys(name_of(str(value)) for value in values))


LATENT_COLUMNS = (
    ("test", "mse"),
    ("test", "mse_14"),
    ("test", "mse_15"),
    ("test", "r2"),
    ("test", "two_way"),
    ("test", "share_of_optimal"),
    ("test", "novelty_identification"),
    ("validation", "mse"),
    ("train", "mse"),
)
"""The columns of Table 3, those that the run has: test first."""


def latent_table(table: "pd.DataFrame", simulated: Mapping[str, bool], target: str) -> Table:
    """Table 3 for one target: decoders by scores, a group for each subject."""
    rows = table[table["target"] == target]
    present = {(str(a), str(b)) for a, b in zip(rows["split"], rows["score"], strict=True)}
    columns = [pair for pair in LATENT_COLUMNS if pair in present]
    if target == "image":
        columns = [pair for pair in columns if pair[1] not in ("mse_14", "mse_15")]
    elif ("test", "mse_14") in columns:
        columns = [pair for pair in columns if pair != ("test", "mse")]
    groups = []
    for (dataset, subject), of_subject in rows.groupby(["dataset", "subject"]):
        by_cell = {(r["decoder"], r["split"], r["score"]): r for _, r in of_subject.iterrows()}
        lines = []
        for decoder in sorted(of_subject["decoder"].unique(), key=decoder_key):
            found = [by_cell.get((decoder, *pair)) for pair in columns]
            cells = [Cell() if row is None else cell(row) for row in found]
            cells = [
                value if split == "test" else replace(value, low="", high="")
                for value, (split, _) in zip(cells, columns, strict=True)
            ]
            lines.append(Row(decoder_name(decoder), cells))
        mean = [by_cell.get((d, "test", "mse_mean")) for d in of_subject["decoder"].unique()]
        known = [row for row in mean if row is not None]
        if known:
            cells = [cell(known[0]), *(Cell() for _ in columns[1:])]
            lines.append(Row("Training mean", cells, "control", "predicting the average latent"))
        name = f"{dataset}, {subject}"
        groups.append(Group(name, lines, simulated.get(dataset, False), dataset, subject))
    head = [
        Column(SCORES.get(score, (words(score), ""))[0], ARROWS[better(score)], "", split)
        for split, score in columns
    ]
    what = "image latent" if target == "image" else "text embedding"
    caption = f"How well each decoder predicts the {what}, with 95 % bootstrap intervals."
    return Table(f"latent-{target}", caption, "Decoder", head, groups)


def decoder_key(decoder: str) -> tuple[int, str]:
    """Sort key of a decoder: known ones first, in the order of the report."""
    known = list(DECODERS)
    return (known.index(decoder) if decoder in known else len(known), decoder)


def markdown(table: Table) -> str:
    """The table as GitHub's Markdown, one block a group."""
    lines = [table.caption, ""]
    for group in table.groups:
        label = " — SIMULATED DATA" if group.simulated else ""
        lines += [f"**{group.name}{label}**", ""]
        names = [
            " ".join(part for part in (f"{c.above}:" if c.above else "", c.name, c.arrow) if part)
            for c in table.columns
        ]
        lines.append("| " + " | ".join([table.first, *names]) + " |")
        lines.append("|:--|" + "--:|" * len(names))
        lines += [
            "| " + " | ".join([_escape(row.name), *(c.text for c in row.cells)]) + " |"
            for row in group.rows
        ]
        lines.append("")
    lines += [f"- {_escape(note)}" for note in table.notes]
    return "\n".join(lines).rstrip() + "\n"


def _escape(text: str) -> str:
    return text.replace("|", "\\|")
