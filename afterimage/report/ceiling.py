"""What a perfect decoder would have shown: the oracle's pictures and the optimal linear decoder."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from afterimage.report.answers import MISSING, Answer, with_best
from afterimage.report.directions import Directions, Pair
from afterimage.report.failing import gallery_link
from afterimage.report.gallery import Gallery
from afterimage.report.inputs import by_subject
from afterimage.report.tables import (
    Cell,
    Column,
    Group,
    Row,
    Table,
    cell,
    decoder_key,
    image_columns,
)
from afterimage.report.words import decoder_name, metric_name

if TYPE_CHECKING:
    import pandas as pd

PREFERRED = ("pcc", "lpips_alex", "alexnet5")


def what_would_perfect_show(
    images: "pd.DataFrame | None",
    latents: "pd.DataFrame | None",
    pairs: "pd.DataFrame | None",
    galleries: Sequence[Gallery],
    directions: Directions,
    simulated: Mapping[str, bool],
) -> Answer:
    """The oracle's scores, and the share of the optimal linear decoder's gain."""
    question = "What would a perfect decoder have shown?"
    ceiling = _ceiling(images, directions, simulated)
    lines, links = [], []
    if ceiling:
        lines.append(
            "What the oracle shows: no decoder of these latents can be expected to do better."
        )
        lines.append(_beside_best(ceiling, pairs))
    else:
        lines.append(f"{MISSING} the oracle was not among the methods.")
    caption = (
        "Simulated brains, test images: the gain over guessing the mean, as a share of that of the "
        "best linear decoder of single trials. Networks may exceed 1. So may a linear decoder: "
        "test responses are means of several trials, with less noise."
    )
    shares = by_decoder(latents, "share_of_optimal", "optimal-share", caption, simulated)
    if shares:
        lines.append(
            "For simulated brains the best linear decoder of single trials is known: the table "
            "says which share of its gain each decoder reaches."
        )
        links.append(("Scores of the decoders", "#decoders"))
    with_oracle = [gallery for gallery in galleries if "oracle" in gallery.methods]
    if with_oracle:
        link = f"{gallery_link(with_oracle[0])}?methods=oracle,best"
        links.insert(0, ("The oracle's pictures beside the best decoder's", link))
    links = links or [("Headline table with the controls", "#headline")]
    return Answer(question, lines, links, [table for table in (ceiling, shares) if table])


def _ceiling(
    images: "pd.DataFrame | None", directions: Directions, simulated: Mapping[str, bool]
) -> Table | None:
    """The oracle's scores beside the best decoder's, where there is an oracle."""
    if images is None:
        return None
    oracle = images[(images["method"] == "oracle") & images["value"].notna()]
    shown = _pairs_to_show(image_columns(oracle))
    rows = []
    for (dataset, subject), table in by_subject(images):
        by_cell = {(r["method"], r["protocol"], r["metric"]): r for _, r in table.iterrows()}
        found = [by_cell.get((name, *pair)) for pair in shown for name in ("oracle", "best")]
        cells = [Cell() if row is None else cell(row) for row in found]
        if any(oracles.value for oracles in cells[::2]):
            name = f"{dataset}, {subject}"
            rows.append(Row(name, cells, simulated=simulated.get(dataset, False)))
    head = [
        Column(name, directions.arrow(pair), "", metric_name(pair[1]))
        for pair in shown
        for name in ("oracle", "best decoder")
    ]
    caption = (
        "The generator given the true latents (oracle), beside the best decoder, with 95 % "
        "intervals over images."
    )
    return Table("ceiling", caption, "Subject", head, [Group("", rows)]) if rows else None


def _pairs_to_show(present: Sequence[Pair]) -> list[Pair]:
    """The preferred metrics, of the headline's protocol where it has them; else the first three."""
    firsts = (next((pair for pair in present if pair[1] == name), None) for name in PREFERRED)
    return [pair for pair in firsts if pair] or list(present[:3])


def _beside_best(ceiling: Table, pairs: "pd.DataFrame | None") -> str:
    """Whether the best decoder is clearly below the oracle, by paired differences."""
    rows = [row for group in ceiling.groups for row in group.rows]
    if not any(best.value for row in rows for best in row.cells[1::2]):
        return "The best decoder was not among the methods: nothing stands beside the oracle."
    gaps: list[float] = []
    for row in rows:
        dataset, _, subject = row.name.partition(", ")
        gaps += list(with_best(pairs, dataset, subject, "oracle")["gain_high"])
    if not gaps:
        return "The oracle and the best decoder were not compared image by image."
    below = sum(gap < 0 for gap in gaps)
    return (
        f"On {below} of {len(gaps)} metrics of all subjects the best decoder is worse than the "
        "oracle (95 % interval of the paired difference): there, better predictions would show."
    )


def by_decoder(
    latents: "pd.DataFrame | None",
    score: str,
    key: str,
    caption: str,
    simulated: Mapping[str, bool],
) -> Table | None:
    """A test score of every decoder, none picked out: subjects by targets and decoders."""
    if latents is None:
        return None
    rows = latents[
        (latents["score"] == score) & (latents["split"] == "test") & latents["value"].notna()
    ]
    present = set(zip(rows["target"], rows["decoder"], strict=True))
    pairs = sorted(present, key=lambda pair: (pair[0], decoder_key(pair[1])))
    lines = []
    for (dataset, subject), part in rows.groupby(["dataset", "subject"]):
        found = {(row["target"], row["decoder"]): cell(row, 2) for _, row in part.iterrows()}
        cells = [found.get(pair, Cell()) for pair in pairs]
        lines.append(Row(f"{dataset}, {subject}", cells, simulated=simulated.get(dataset, False)))
    head = [Column(decoder_name(decoder), "", "", target) for target, decoder in pairs]
    return Table(key, caption, "Subject", head, [Group("", lines)]) if lines else None
