"""Two of a reviewer's questions: what the generator allows, and what retrieval would explain."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from afterimage.report.answers import (
    MISSING,
    Answer,
    failing_metric,
    gallery_link,
    per_image,
)
from afterimage.report.gallery import Gallery
from afterimage.report.inputs import by_subject
from afterimage.report.tables import Cell, Column, Group, Row, Table, decoder_key, number
from afterimage.report.words import ARROWS, better, decoder_name, metric_name, space_name

if TYPE_CHECKING:
    import pandas as pd


def what_would_perfect_show(
    images: "pd.DataFrame | None",
    latents: "pd.DataFrame | None",
    galleries: list[Gallery],
    simulated: Mapping[str, bool],
) -> Answer:
    """The oracle's scores, and the share of the optimal linear decoder's gain."""
    metrics = ("pcc", "lpips_alex", "alexnet5")
    rows = []
    for (dataset, subject), table in by_subject(images):
        cells = []
        for metric in metrics:
            # As in the headline: the report's protocol where it has the metric.
            found = table[table["metric"] == metric]
            found = found.sort_values("protocol", key=lambda p: p != "report", kind="stable")
            found = found.drop_duplicates("method").set_index("method")
            both = "oracle" in found.index and "best" in found.index
            values = [found.loc[name, "value"] if both else np.nan for name in ("oracle", "best")]
            cells += [Cell(number(value)) for value in values]
        if any(found.value for found in cells):
            name = f"{dataset}, {subject}"
            rows.append(Row(name, cells, simulated=simulated.get(dataset, False)))
    head = [
        Column(name, ARROWS[better(metric)], "", metric_name(metric))
        for metric in metrics
        for name in ("oracle", "best decoder")
    ]
    caption = "The generator given the true latents (oracle), beside the best decoder."
    tables = [Table("ceiling", caption, "Subject", head, [Group("", rows)])] if rows else []
    caption = (
        "Simulated brains, test images: the gain over guessing the mean, as a share of that of the "
        "best linear decoder of single trials. Networks may exceed 1. So may a linear decoder: "
        "test responses are means of several trials, with less noise."
    )
    tables += _by_decoder(latents, "share_of_optimal", "optimal-share", caption, simulated)
    lines = (
        ["What the oracle shows: no decoder of these latents can be expected to do better."]
        if tables
        else [f"{MISSING} the oracle was not among the methods."]
    )
    link = "#headline"
    if galleries and "oracle" in galleries[0].methods:
        link = f"{gallery_link(galleries[0])}?methods=oracle,best"
    question = "What would a perfect decoder have shown?"
    return Answer(question, lines, link, "The oracle's pictures beside the best decoder's", tables)


def _by_decoder(
    latents: "pd.DataFrame | None",
    score: str,
    key: str,
    caption: str,
    simulated: Mapping[str, bool],
) -> list[Table]:
    """A test score of every decoder, none picked out: subjects by targets and decoders."""
    if latents is None:
        return []
    rows = latents[
        (latents["score"] == score) & (latents["split"] == "test") & latents["value"].notna()
    ]
    present = set(zip(rows["target"], rows["decoder"], strict=True))
    pairs = sorted(present, key=lambda pair: (pair[0], decoder_key(pair[1])))
    lines = []
    for (dataset, subject), part in rows.groupby(["dataset", "subject"]):
        values = part.set_index(["target", "decoder"])["value"]
        cells = [Cell(number(values.get(pair, np.nan), 2)) for pair in pairs]
        lines.append(Row(f"{dataset}, {subject}", cells, simulated=simulated.get(dataset, False)))
    head = [Column(decoder_name(decoder), "", "", target) for target, decoder in pairs]
    return [Table(key, caption, "Subject", head, [Group("", lines)])] if lines else []


def is_it_retrieval(
    scores: "pd.DataFrame",
    novelty: "pd.DataFrame",
    latents: "pd.DataFrame | None",
    galleries: list[Gallery],
    simulated: Mapping[str, bool],
) -> Answer:
    """Whether `best` scores worse on test images that are far from every training image."""
    question = "Is it just retrieving training images?"
    caption = (
        "Share of test images whose prediction is more like its own target than like any training "
        "target. A decoder that only retrieves has 0."
    )
    shared = _shared_targets(novelty)
    told = _without(latents, shared)
    tables = _by_decoder(told, "novelty_identification", "beyond-retrieval", caption, simulated)
    lines = []
    if tables:
        tables[0].notes = [
            f"{', '.join(names)}: every test target is a training target too, so neither can win."
            for names in sorted(shared)
        ]
        shares = [
            float(found.value)
            for row in tables[0].groups[0].rows
            for found in row.cells
            if found.value
        ]
        low, high = (f"{100 * share:.0f}" for share in (min(shares), max(shares)))
        share = low if low == high else f"{low} to {high}"
        lines.append(
            "Pure retrieval predicts nothing nearer to a test image's own target than to every "
            f"training target. These decoders do so for {share} % of the test images."
        )
    halves = _near_and_far(scores, novelty, galleries, simulated)
    if halves:
        lines.append(
            "A score that gets worse with the distance to training leans on pictures like those "
            "trained on: the second table has both halves of the test images."
            if tables
            else "A score that gets worse with the distance to training leans on pictures like "
            "those trained on: the table has both halves of the test images."
        )
        tables.append(halves)
    else:
        lines += halves.notes
    if not lines:
        lines = [f"{MISSING} no distances to the training images were computed."]
    return Answer(question, lines, "#novelty", "Score against distance to training", tables)


def _shared_targets(novelty: "pd.DataFrame") -> set[tuple[str, str, str]]:
    """(dataset, subject, target) of which every test latent is also one of a training image.

    So are THINGS' definitions: its test images show concepts of the training images.
    """
    farthest = novelty.groupby(["dataset", "subject", "space"])["distance"].max()
    return {
        (dataset, subject, space.removesuffix("_latent"))
        for (dataset, subject, space), distance in farthest.items()
        if space.endswith("_latent") and distance == 0
    }


def _without(
    latents: "pd.DataFrame | None", shared: set[tuple[str, str, str]]
) -> "pd.DataFrame | None":
    if latents is None or not shared:
        return latents
    names = zip(latents["dataset"], latents["subject"], latents["target"], strict=True)
    return latents[[name not in shared for name in names]]


def _near_and_far(
    scores: "pd.DataFrame",
    novelty: "pd.DataFrame",
    galleries: list[Gallery],
    simulated: Mapping[str, bool],
) -> Table:
    """The best decoder's score on the nearer and the farther half of the test images.

    It may have no rows; its notes say where all test images are equally far.
    """
    groups, names, notes = [], [], []
    for gallery in galleries:
        dataset, subject = gallery.subject
        metric = failing_metric(scores, gallery)
        mine = novelty[(novelty["dataset"] == dataset) & (novelty["subject"] == subject)]
        if metric is None or not len(mine):
            continue
        values = per_image(scores, gallery, "best", metric)
        rows = []
        for space, distances in mine.groupby("space"):
            distance = distances.set_index("image_id")["distance"]
            both = values.to_frame("value").join(distance, how="inner").dropna()
            if len(both) < 4 or both["value"].nunique() < 2:
                continue
            if both["distance"].nunique() < 2:
                same = number(both["distance"].iloc[0])
                where = f"{dataset}, {subject}, {space_name(space)}"
                notes.append(f"{where}: all test images are {same} from training.")
                continue
            rows.append(Row(space_name(space), _halves(both)))
        if rows:
            names.append(f"{metric_name(metric[1])} {ARROWS[better(metric[1])]}")
            is_simulated = simulated.get(dataset, False)
            groups.append(Group(f"{dataset}, {subject}", rows, is_simulated, dataset, subject))
    head = [
        Column("near half", "", "", "score"),
        Column("far half", "", "", "score"),
        Column("Rank correlation", "", "of distance and score"),
    ]
    what = " or ".join(dict.fromkeys(names))
    caption = f"The best decoder's {what}, by the distance to the nearest training image."
    return Table("near-and-far", caption, "Distance in", head, groups, notes)


def _halves(both: "pd.DataFrame") -> list[Cell]:
    """Mean of `value` on the half with the smaller and the larger `distance`, and Spearman's r."""
    ordered = both.sort_values("distance", kind="stable")["value"]
    middle = len(ordered) // 2
    rank = both.rank()
    rho = np.corrcoef(rank["distance"], rank["value"])[0, 1]
    means = [ordered.iloc[:middle].mean(), ordered.iloc[middle:].mean()]
    return [*(Cell(number(mean)) for mean in means), Cell(number(rho, 2))]
