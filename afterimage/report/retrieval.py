"""Whether it is just retrieving: what a decoder that only retrieves could not do."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from afterimage.metrics import statistics
from afterimage.report.answers import MISSING, Answer
from afterimage.report.ceiling import by_decoder
from afterimage.report.directions import Directions
from afterimage.report.failing import failing_metric, per_image
from afterimage.report.gallery import Gallery
from afterimage.report.tables import Cell, Column, Group, Row, Table, number
from afterimage.report.words import metric_name, space_name

if TYPE_CHECKING:
    import pandas as pd


def is_it_retrieval(
    scores: "pd.DataFrame",
    novelty: "pd.DataFrame",
    latents: "pd.DataFrame | None",
    galleries: Sequence[Gallery],
    directions: Directions,
    simulated: Mapping[str, bool],
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> Answer:
    """Whether predictions beat every training target, and `best` falls off far from training."""
    question = "Is it just retrieving training images?"
    caption = (
        "Share of test images whose prediction is more like its own target than like any training "
        "target, with 95 % intervals. A decoder that only retrieves has 0."
    )
    shared = _shared_targets(novelty)
    told = _without(latents, shared)
    beyond = by_decoder(told, "novelty_identification", "beyond-retrieval", caption, simulated)
    lines = []
    if beyond:
        beyond.notes = [
            f"{', '.join(names)}: every test target is a training target too, so neither can win."
            for names in sorted(shared)
        ]
        lines.append(_beyond_retrieval(beyond))
    halves, said = _near_and_far(
        scores, novelty, galleries, directions, simulated, n_bootstrap, seed
    )
    lines += said
    tables = [table for table in (beyond, halves) if table]
    if not lines:
        lines = [f"{MISSING} no distances to the training images were computed."]
    return Answer(question, lines, [("Score against distance to training", "#novelty")], tables)


def _beyond_retrieval(table: Table) -> str:
    """How many decoders' shares are above the 0 of retrieval, by their intervals."""
    found = [c for group in table.groups for row in group.rows for c in row.cells if c.value]
    shares = [100 * float(c.value) for c in found]
    clear = sum(float(c.low or 0) > 0 for c in found)
    low, high = f"{min(shares):.0f}", f"{max(shares):.0f}"
    verdict = "No" if clear == len(found) else "Not all do more" if clear else "Cannot be told"
    share = low if low == high else f"{low} to {high}"
    return (
        f"{verdict}: pure retrieval predicts nothing nearer to a test image's own target than to "
        f"every training target. These decoders do so for {share} % of the test images; for "
        f"{clear} of {len(found)} the 95 % interval is above 0."
    )


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
    galleries: Sequence[Gallery],
    directions: Directions,
    simulated: Mapping[str, bool],
    n_bootstrap: int,
    seed: int,
) -> tuple[Table | None, list[str]]:
    """The best decoder's score on the nearer and the farther half of the test images.

    Returns
    -------
    the table, None where no subject has one, and what its intervals say
    """
    groups, names, lines = [], [], []
    drops: list[tuple[float, float]] = []
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
                lines.append(f"{where}: all test images are {same} from training.")
                continue
            cells, drop = _halves(both, directions.sign(metric), n_bootstrap, seed)
            drops.append(drop)
            rows.append(Row(space_name(space), cells))
        if rows:
            names.append(f"{metric_name(metric[1])} {directions.arrow(metric)}".strip())
            is_simulated = simulated.get(dataset, False)
            groups.append(Group(f"{dataset}, {subject}", rows, is_simulated, dataset, subject))
    if not groups:
        return None, lines
    head = [
        Column("near half", "", "", "score"),
        Column("far half", "", "", "score"),
        Column("Better near than far by", "", "above zero: better near to training"),
        Column("Rank correlation", "", "of distance and score"),
    ]
    what = " or ".join(dict.fromkeys(names))
    caption = (
        f"The best decoder's {what}, by the distance to the nearest training image, with 95 % "
        "intervals over images."
    )
    table = Table("near-and-far", caption, "Distance in", head, groups)
    return table, [_leaning(drops), *lines]


def _leaning(drops: Sequence[tuple[float, float]]) -> str:
    """What the intervals of near minus far say, over all subjects and spaces."""
    leans, against = sum(low > 0 for low, _ in drops), sum(high < 0 for _, high in drops)
    n = len(drops)
    if leans:
        return (
            f"In {leans} of {n} rows the best decoder scores better near to training than far from "
            "it, with its 95 % interval: there it leans on pictures like those trained on."
        )
    other = f", in {against} it is better far from it" if against else ""
    return (
        f"In none of {n} rows is the best decoder clearly better near to training than far from it "
        f"(95 % interval){other}: no leaning on pictures like those trained on is seen."
    )


def _halves(
    both: "pd.DataFrame", sign: int, n_bootstrap: int, seed: int
) -> tuple[list[Cell], tuple[float, float]]:
    """Means of `value` on the half with the smaller and the larger `distance`, and what differs.

    Images of each half are drawn again apart from the other's.

    Returns
    -------
    the row's cells, and the interval of near minus far, turned so that positive is better near
    """
    ordered = both.sort_values("distance", kind="stable")["value"].to_numpy()
    halves = np.array_split(ordered, [len(ordered) // 2])
    seeds = (seed, seed + n_bootstrap)
    cells = []
    for half, own in zip(halves, seeds, strict=True):
        cells.append(_cell(*statistics.mean_interval(half, n_bootstrap, own)))
    near, far = (
        statistics.bootstrap_means(half, n_bootstrap, own)
        for half, own in zip(halves, seeds, strict=True)
    )
    drop = statistics.interval(sign * (near - far))
    cells.append(_cell(sign * float(halves[0].mean() - halves[1].mean()), *drop))
    rank = both.rank()
    rho = np.corrcoef(rank["distance"], rank["value"])[0, 1]
    return [*cells, Cell(number(rho, 2))], drop


def _cell(value: float, low: float, high: float) -> Cell:
    return Cell(number(value), number(low), number(high))
