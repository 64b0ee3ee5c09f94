"""Questions that a reviewer asks first, answered from the run's own tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from afterimage.report.gallery import Gallery
from afterimage.report.inputs import by_subject
from afterimage.report.proof import Proof
from afterimage.report.tables import Cell, Column, Group, Row, Table, cell, number
from afterimage.report.words import better, is_identification, metric_name

if TYPE_CHECKING:
    import pandas as pd

MISSING = "This run does not tell:"


@dataclass
class Answer:
    """A question, the answer in a sentence or two, its numbers, and where the evidence stands."""

    question: str
    lines: list[str]
    link: str
    link_text: str
    tables: list[Table] = field(default_factory=list)
    examples: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    """(what they have in common, (text, link) of single images)."""


def is_it_chance(
    images: "pd.DataFrame | None", pairs: "pd.DataFrame | None", simulated: Mapping[str, bool]
) -> Answer:
    """How far `best` is above `shuffled` and above the chance of two-way identification."""
    rows, clear, names = [], [], set()
    for (dataset, subject), table in by_subject(images):
        best = _identification(table)
        mine = _with_shuffled(pairs, dataset, subject)
        won, total = int((mine["gain_low"] > 0).sum()), len(mine)
        if best is None and not total:
            continue
        cells = [Cell(), Cell(), Cell(f"{won} of {total}" if total else "")]
        if best is not None:
            names.add(metric_name(best["metric"]))
            cells[:2] = [cell(best), _gain(mine, best)]
        clear.append(won == total and (best is None or bool(best["low"] > 0.5)))
        rows.append(Row(f"{dataset}, {subject}", cells, simulated=simulated.get(dataset, False)))
    question = "Is this better than chance, and by how much?"
    link = ("#headline", "Headline table with the controls")
    if not rows:
        said = "neither two-way identification nor a comparison with the shuffled control was made."
        return Answer(question, [f"{MISSING} {said}"], *link)
    head = [
        Column(" or ".join(sorted(names)) or "Two-way", "↑", "chance is 0.5", "best decoder"),
        Column("Above shuffled", "", "difference on the same images", "best decoder"),
        Column("Metrics better than shuffled", "", "paired 95 % interval above zero"),
    ]
    caption = "Chance in two-way identification is 0.5. Brackets are 95 % intervals over images."
    count = f"{sum(clear)} of {len(clear)} subject{'s' if len(clear) != 1 else ''}"
    line = (
        f"{'Yes, for' if all(clear) else 'For' if any(clear) else 'Not clearly: for'} {count} the "
        "best decoder is better than the shuffled control on every metric, and its "
        "identification above chance, each with its 95 % interval."
    )
    table = Table("chance", caption, "Subject", head, [Group("", rows)])
    return Answer(question, [line], *link, [table])


def _identification(table: "pd.DataFrame") -> "pd.Series | None":
    """The best decoder's row of two-way identification, AlexNet's deepest layer first."""
    rows = table[(table["method"] == "best") & table["value"].notna()]
    found = [row for _, row in rows.iterrows() if is_identification(row["metric"])]
    return max(found, key=lambda row: (row["metric"] == "alexnet5", row["metric"]), default=None)


def _with_shuffled(pairs: "pd.DataFrame | None", dataset: str, subject: str) -> "pd.DataFrame":
    """The best decoder's paired differences with the shuffled control."""
    import pandas as pd

    if pairs is None:
        return pd.DataFrame(columns=["protocol", "score", "gain", "gain_low", "gain_high"])
    return pairs[
        (pairs["dataset"] == dataset)
        & (pairs["subject"] == subject)
        & (pairs["first"] == "best")
        & (pairs["second"] == "shuffled")
    ]


def _gain(pairs: "pd.DataFrame", best: "pd.Series") -> Cell:
    """By how much a score of `best` is above that of `shuffled` on the same images."""
    rows = pairs[(pairs["protocol"] == best["protocol"]) & (pairs["score"] == best["metric"])]
    if not len(rows):
        return Cell()
    value, low, high = (number(rows[name].iloc[0]) for name in ("gain", "gain_low", "gain_high"))
    return Cell(value, low, high)


def which_fail(scores: "pd.DataFrame", galleries: list[Gallery]) -> Answer:
    """Images on which `best` scores no better than `shuffled`, and the worst, linked."""
    examples: list[tuple[str, list[tuple[str, str]]]] = []
    n_failed = n_images = 0
    metrics = []
    for gallery in galleries:
        metric = failing_metric(scores, gallery)
        if metric is None:
            continue
        best, shuffled = (
            per_image(scores, gallery, method, metric) for method in ("best", "shuffled")
        )
        sign = -1 if better(metric[1]) == "lower" else 1
        gain = (best * sign).sub(shuffled * sign).dropna()
        if not len(gain):
            continue
        metrics.append(metric)
        failed = gain[gain <= 0].sort_values(kind="stable").index
        n_failed, n_images = n_failed + len(failed), n_images + len(gain)
        worst = (best * sign).dropna().sort_values(kind="stable").index[:4]
        name = f"{', '.join(gallery.subject)} ({len(failed)} of {len(gain)})"
        for label, chosen in ((f"{name}, failing", failed[:8]), (f"{name}, worst", worst)):
            links = [(str(image), gallery_link(gallery, str(image))) for image in chosen]
            if links:
                examples.append((label, links))
    question = "Which images fail?"
    if not metrics:
        said = f"{MISSING} no scores of both the best decoder and the shuffled control."
        return Answer(question, [said], "#gallery", "Gallery, worst first")
    names = " or ".join(dict.fromkeys(metric_name(metric[1]) for metric in metrics))
    line = (
        f"On {n_failed} of {n_images} test images the best decoder's {names} is no better than the "
        "shuffled control's. The worst, worst first:"
    )
    link = f"{gallery_link(galleries[0])}?sort={':'.join(metrics[0])}&of=best&order=worst"
    return Answer(question, [line], link, "Gallery, worst first", [], examples)


def failing_metric(scores: "pd.DataFrame", gallery: Gallery) -> tuple[str, str] | None:
    """The metric that says best whether a picture shows the right thing, among those there."""
    rows = scores[
        (scores["dataset"] == gallery.subject[0])
        & (scores["subject"] == gallery.subject[1])
        & (scores["method"] == "best")
        & scores["value"].notna()
    ]
    present = set(zip(rows["protocol"], rows["metric"], strict=True))
    wanted = ("lpips_alex", "ssim", "pcc")
    for name in wanted:
        found = sorted(pair for pair in present if pair[1] == name)
        if found:
            return next((pair for pair in found if pair[0] == "report"), found[0])
    return min(present) if present else None


def per_image(
    scores: "pd.DataFrame", gallery: Gallery, method: str, metric: tuple[str, str]
) -> "pd.Series":
    rows = scores[
        (scores["dataset"] == gallery.subject[0])
        & (scores["subject"] == gallery.subject[1])
        & (scores["method"] == method)
        & (scores["protocol"] == metric[0])
        & (scores["metric"] == metric[1])
    ]
    return rows.groupby("image_id")["value"].mean()


def was_test_used(proof: Proof | None) -> Answer:
    """The leak proof's verdict."""
    if proof is None:
        lines = [f"{MISSING} the leak proof has not been run (snakemake --cores 1 leak_proof)."]
    elif proof.holds:
        lines = ["No, says the workflow's own graph of jobs.", *proof.lines[:1], *proof.elsewhere]
    else:
        lines = ["YES: the leak proof failed.", *proof.violations[:1]]
    question = "Was the test set used in training or selection?"
    return Answer(question, lines, "#leak-proof", "The proof and its evidence")


def gallery_link(gallery: Gallery, image_id: str = "") -> str:
    """The address, within the page, of a subject's gallery or of one of its images."""
    from urllib.parse import quote

    names = [*gallery.subject, image_id] if image_id else gallery.subject
    return "#/" + "/".join(quote(name, safe="") for name in names)
