"""Questions that a reviewer asks first, answered from the run's own tables.

Each sentence of an answer rests on evidence of its own, and says so where there is none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from afterimage.report.directions import Directions
from afterimage.report.inputs import by_subject
from afterimage.report.proof import Proof
from afterimage.report.tables import Cell, Column, Group, Row, Table, cell, number
from afterimage.report.words import metric_name

if TYPE_CHECKING:
    import pandas as pd

MISSING = "This run does not tell:"


@dataclass
class Answer:
    """A question, the answer in a sentence or two, its numbers, and where the evidence stands."""

    question: str
    lines: list[str]
    links: list[tuple[str, str]]
    """(text, address within the page)."""
    tables: list[Table] = field(default_factory=list)
    examples: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    """(what they have in common, (text, link) of single images)."""


def is_it_chance(
    images: "pd.DataFrame | None",
    pairs: "pd.DataFrame | None",
    directions: Directions,
    simulated: Mapping[str, bool],
) -> Answer:
    """How far `best` is above `shuffled`, and above chance in identification."""
    rows, names = [], []
    won: list[bool] = []
    above: list[bool] = []
    for (dataset, subject), table in by_subject(images):
        best = _identification(table, directions)
        mine = with_best(pairs, dataset, subject, "shuffled")
        if best is None and not len(mine):
            continue
        cells = [Cell(), Cell(), Cell(), Cell()]
        if best is not None:
            chance = directions.chance((best["protocol"], best["metric"])) or 0.0
            names.append(metric_name(best["metric"]))
            cells[:3] = [cell(best), Cell(f"{chance:.3g}"), _gain(mine, best)]
            above.append(bool(best["low"] > chance))
        if len(mine):
            better = int((mine["gain_low"] > 0).sum())
            cells[3] = Cell(f"{better} of {len(mine)}")
            won.append(better == len(mine))
        rows.append(Row(f"{dataset}, {subject}", cells, simulated=simulated.get(dataset, False)))
    question = "Is this better than chance, and by how much?"
    links = [("Headline table with the controls", "#headline")]
    if not rows:
        said = "neither identification nor a comparison with the shuffled control was made."
        return Answer(question, [f"{MISSING} {said}"], links)
    head = [
        Column(" or ".join(dict.fromkeys(names)) or "Identification", "↑", "", "best decoder"),
        Column("Chance", "", "what guessing scores"),
        Column("Above shuffled", "", "difference on the same images", "best decoder"),
        Column("Metrics better than shuffled", "", "paired 95 % interval above zero"),
    ]
    lines = [
        _verdict(won, "better than the shuffled control on every metric, by paired differences")
        or "Nothing was compared with the shuffled control.",
        _verdict(above, "above chance in identification")
        or "Identification was not computed for the best decoder.",
    ]
    caption = "Brackets are 95 % intervals over images."
    table = Table("chance", caption, "Subject", head, [Group("", rows)])
    return Answer(question, lines, links, [table])


def _verdict(found: Sequence[bool], what: str) -> str:
    """Of how many subjects something holds, among those that have the evidence; '' for none."""
    if not found:
        return ""
    word = "Yes, for" if all(found) else "For" if any(found) else "Not clearly: for"
    count = f"{sum(found)} of {len(found)} subject{'s' if len(found) != 1 else ''}"
    return f"{word} {count} the best decoder is {what}, with its 95 % interval."


def _identification(table: "pd.DataFrame", directions: Directions) -> "pd.Series | None":
    """The best decoder's row of identification, AlexNet's deepest layer first."""
    rows = table[(table["method"] == "best") & table["value"].notna()]
    found = [
        row
        for _, row in rows.iterrows()
        if directions.chance((row["protocol"], row["metric"])) is not None
    ]
    return max(found, key=lambda row: (row["metric"] == "alexnet5", row["metric"]), default=None)


def with_best(
    pairs: "pd.DataFrame | None", dataset: str, subject: str, second: str
) -> "pd.DataFrame":
    """The best decoder's paired differences with another method, for one subject."""
    import pandas as pd

    if pairs is None:
        return pd.DataFrame(columns=["protocol", "score", "gain", "gain_low", "gain_high"])
    return pairs[
        (pairs["dataset"] == dataset)
        & (pairs["subject"] == subject)
        & (pairs["first"] == "best")
        & (pairs["second"] == second)
    ]


def _gain(pairs: "pd.DataFrame", best: "pd.Series") -> Cell:
    """By how much a score of `best` is above that of `shuffled` on the same images."""
    rows = pairs[(pairs["protocol"] == best["protocol"]) & (pairs["score"] == best["metric"])]
    if not len(rows):
        return Cell()
    value, low, high = (number(rows[name].iloc[0]) for name in ("gain", "gain_low", "gain_high"))
    return Cell(value, low, high)


def was_test_used(proof: Proof | None) -> Answer:
    """The leak proof's verdict."""
    if proof is None:
        lines = [f"{MISSING} the leak proof has not been run (snakemake --cores 1 leak_proof)."]
    elif proof.holds:
        lines = ["No, says the workflow's own graph of jobs.", *proof.lines[:1], *proof.elsewhere]
    else:
        lines = ["YES: the leak proof failed.", *proof.violations[:1]]
    question = "Was the test set used in training or selection?"
    return Answer(question, lines, [("The proof and its evidence", "#leak-proof")])
