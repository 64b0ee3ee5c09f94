"""Five questions that a reviewer asks first, answered from the run's own tables."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from afterimage.report.gallery import Gallery
from afterimage.report.proof import Proof
from afterimage.report.tables import number
from afterimage.report.words import (
    better,
    decoder_name,
    is_identification,
    metric_name,
    space_name,
)

if TYPE_CHECKING:
    import pandas as pd

MISSING = "This run does not tell:"


@dataclass
class Answer:
    """A question, what the run says, and where on the page the evidence stands."""

    question: str
    lines: list[str]
    link: str
    link_text: str
    examples: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    """(what they have in common, (text, link) of single images)."""


def is_it_chance(images: "pd.DataFrame | None", pairs: "pd.DataFrame | None") -> Answer:
    """How far `best` is above `shuffled` and above the chance of two-way identification."""
    lines = []
    for (dataset, subject), rows in _by_subject(images):
        values = {(r["method"], r["protocol"], r["metric"]): r for _, r in rows.iterrows()}
        chosen = [key for key in values if key[0] == "best" and is_identification(key[2])]
        # One line a subject: the deepest layer that is there.
        if chosen:
            best = values[max(chosen, key=lambda key: (key[2] == "alexnet5", key[2]))]
            line = (
                f"{dataset}, {subject}: {metric_name(best['metric'])} identification "
                f"{_interval(best)} where chance is 0.5"
            )
        else:
            line = f"{dataset}, {subject}"
        extra = _against_shuffled(pairs, dataset, subject)
        if chosen:
            extra = "; ".join(filter(None, (_gain(pairs, best), extra)))
        lines.append(f"{line}; {extra}." if extra else f"{line}.")
    if not any("identification" in line or "shuffled" in line for line in lines):
        lines = [
            f"{MISSING} neither two-way identification nor a comparison with the shuffled "
            "control was computed."
        ]
    question = "Is this better than chance, and by how much?"
    return Answer(question, lines, "#headline", "Headline table with the controls")


def _pairs_with_shuffled(pairs: "pd.DataFrame", dataset: str, subject: str) -> "pd.DataFrame":
    return pairs[
        (pairs["dataset"] == dataset)
        & (pairs["subject"] == subject)
        & (pairs["first"] == "best")
        & (pairs["second"] == "shuffled")
    ]


def _gain(pairs: "pd.DataFrame | None", best: "pd.Series") -> str:
    """By how much a score of `best` is above that of `shuffled` on the same images."""
    if pairs is None or "protocol" not in pairs:
        return ""
    rows = _pairs_with_shuffled(pairs, best["dataset"], best["subject"])
    rows = rows[(rows["protocol"] == best["protocol"]) & (rows["score"] == best["metric"])]
    if not len(rows):
        return ""
    value, low, high = (number(rows[name].iloc[0]) for name in ("gain", "gain_low", "gain_high"))
    return f"that is {value} [{low}, {high}] more than the shuffled control"


def _against_shuffled(pairs: "pd.DataFrame | None", dataset: str, subject: str) -> str:
    if pairs is None:
        return ""
    rows = _pairs_with_shuffled(pairs, dataset, subject)
    if not len(rows):
        return ""
    won = int((rows["gain_low"] > 0).sum())
    return (
        f"better than the shuffled control on {won} of {len(rows)} metrics "
        "(paired 95 % interval above zero)"
    )


def which_fail(scores: "pd.DataFrame", galleries: list[Gallery]) -> Answer:
    """Images on which `best` scores no better than `shuffled`, and the worst, linked."""
    lines: list[str] = []
    examples: list[tuple[str, list[tuple[str, str]]]] = []
    for gallery in galleries:
        metric = _failing_metric(scores, gallery)
        if metric is None:
            continue
        best, shuffled = (
            _per_image(scores, gallery, method, metric) for method in ("best", "shuffled")
        )
        sign = -1 if better(metric[1]) == "lower" else 1
        gain = (best * sign).sub(shuffled * sign).dropna()
        if not len(gain):
            continue
        failed = gain[gain <= 0].sort_values(kind="stable").index
        name = ", ".join(gallery.subject)
        lines.append(
            f"{name}: on {len(failed)} of {len(gain)} images the best decoder's "
            f"{metric_name(metric[1])} is no better than the shuffled control's."
        )
        worst = (best * sign).dropna().sort_values(kind="stable").index[:4]
        for label, chosen in ((f"{name}, failing", failed[:8]), (f"{name}, worst", worst)):
            links = [(str(image), gallery_link(gallery, str(image))) for image in chosen]
            if links:
                examples.append((label, links))
    link = ""
    if galleries:
        metric = _failing_metric(scores, galleries[0])
        name = ":".join(metric) if metric else ""
        link = f"{gallery_link(galleries[0])}?sort={name}&of=best&order=worst"
    if not lines:
        lines = [f"{MISSING} no scores of both the best decoder and the shuffled control."]
    return Answer("Which images fail?", lines, link or "#gallery", "Gallery, worst first", examples)


def _failing_metric(scores: "pd.DataFrame", gallery: Gallery) -> tuple[str, str] | None:
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


def _per_image(
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


def what_would_perfect_show(
    images: "pd.DataFrame | None", latents: "pd.DataFrame | None", galleries: list[Gallery]
) -> Answer:
    """The oracle's scores, and the share of the optimal linear decoder's gain."""
    lines = []
    for (dataset, subject), rows in _by_subject(images):
        parts = []
        for metric in ("pcc", "lpips_alex", "alexnet5"):
            # As in the headline: the report's protocol where it has the metric.
            pair = rows[rows["metric"] == metric]
            pair = pair.sort_values("protocol", key=lambda p: p != "report", kind="stable")
            pair = pair.drop_duplicates("method").set_index("method")
            if "oracle" in pair.index and "best" in pair.index:
                parts.append(
                    f"{metric_name(metric)} {number(pair.loc['oracle', 'value'])} "
                    f"(best decoder {number(pair.loc['best', 'value'])})"
                )
        if parts:
            lines.append(
                f"{dataset}, {subject}: the generator, given the true latents, reaches "
                f"{', '.join(parts)}."
            )
    lines += _shares(latents)
    if not lines:
        lines = [f"{MISSING} the oracle was not among the methods."]
    link = "#headline"
    if galleries and "oracle" in galleries[0].methods:
        link = f"{gallery_link(galleries[0])}?methods=oracle,best"
    question = "What would a perfect decoder have shown?"
    return Answer(question, lines, link, "The oracle's pictures beside the best decoder's")


def _shares(latents: "pd.DataFrame | None") -> list[str]:
    if latents is None:
        return []
    return [
        f"{dataset}, {subject}: share of the best linear decoder's gain over guessing the mean, "
        f"for each decoder on the test images. {found}."
        for dataset, subject, found in _by_decoder(latents, "share_of_optimal")
    ]


def _by_decoder(latents: "pd.DataFrame", score: str):
    """(dataset, subject, 'Image: Linear 0.90, ...; Text: ...'): every decoder, none picked out."""
    rows = latents[
        (latents["score"] == score) & (latents["split"] == "test") & latents["value"].notna()
    ]
    for (dataset, subject), part in rows.groupby(["dataset", "subject"]):
        targets = [
            f"{target.capitalize()}: "
            + ", ".join(
                f"{decoder_name(row['decoder'])} {number(row['value'], 2)}"
                for _, row in of_target.iterrows()
            )
            for target, of_target in part.groupby("target")
        ]
        yield dataset, subject, "; ".join(targets)


def is_it_retrieval(
    scores: "pd.DataFrame",
    novelty: "pd.DataFrame",
    latents: "pd.DataFrame | None",
    galleries: list[Gallery],
) -> Answer:
    """Whether scores fall with distance to training, and novelty identification."""
    lines = []
    for gallery in galleries:
        metric = _failing_metric(scores, gallery)
        mine = novelty[
            (novelty["dataset"] == gallery.subject[0]) & (novelty["subject"] == gallery.subject[1])
        ]
        if metric is None or not len(mine):
            continue
        values = _per_image(scores, gallery, "best", metric)
        parts = []
        for space, rows in mine.groupby("space"):
            distance = rows.set_index("image_id")["distance"]
            both = values.to_frame("value").join(distance, how="inner").dropna()
            if len(both) < 4 or both["value"].nunique() < 2:
                continue
            if both["distance"].nunique() < 2:
                same = number(both["distance"].iloc[0])
                parts.append(f"by {space_name(space)}, all test images are {same} from training")
                continue
            near, far = (part["value"].mean() for part in _halves(both.sort_values("distance")))
            rank = both.rank()
            rho = np.corrcoef(rank["distance"], rank["value"])[0, 1]
            parts.append(
                f"by {space_name(space)}, {number(near)} on the half of the test images nearest to "
                f"a training image and {number(far)} on the far half (rank correlation "
                f"{number(rho, 2)})"
            )
        if parts:
            lines.append(
                f"{', '.join(gallery.subject)}: {metric_name(metric[1])} ({better(metric[1])} is "
                f"better) is, {'; '.join(parts)}."
            )
    if latents is not None:
        lines += [
            f"{dataset}, {subject}: share of test images whose prediction is more like its own "
            f"target than like any training target (retrieval alone: 0). {found}."
            for dataset, subject, found in _by_decoder(latents, "novelty_identification")
        ]
    if not lines:
        lines = [f"{MISSING} no distances to the training images were computed."]
    question = "Is it just retrieving training images?"
    return Answer(question, lines, "#novelty", "Score against distance to training")


def _halves(rows: "pd.DataFrame") -> tuple["pd.DataFrame", "pd.DataFrame"]:
    middle = len(rows) // 2
    return rows.iloc[:middle], rows.iloc[middle:]


def gallery_link(gallery: Gallery, image_id: str = "") -> str:
    """The address, within the page, of a subject's gallery or of one of its images."""
    from urllib.parse import quote

    names = [*gallery.subject, image_id] if image_id else gallery.subject
    return "#/" + "/".join(quote(name, safe="") for name in names)


def _by_subject(table: "pd.DataFrame | None"):
    return [] if table is None else table.groupby(["dataset", "subject"])


def _interval(row: "pd.Series") -> str:
    low, high = number(row["low"]), number(row["high"])
    return f"{number(row['value'])} [{low}, {high}]" if low else number(row["value"])
