"""Score against distance to the training images: the distances read, and the charts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from afterimage.report.directions import Directions
from afterimage.report.drawing import style
from afterimage.report.evidence import label, saver
from afterimage.report.inputs import Placed, by_subject
from afterimage.report.page import Block
from afterimage.report.words import method_name, metric_name, space_name

if TYPE_CHECKING:
    import pandas as pd


def read_novelty(files: Sequence[Placed]) -> "pd.DataFrame":
    """Distances to training: dataset, subject, image_id, space, distance (nearest, if known)."""
    import pandas as pd

    parts = []
    for file in files:
        table = pd.read_parquet(file.path)
        table["image_id"] = table["image_id"].astype(str)
        # Distances are float32: what differs by less than this is the same, and 0 is 0.
        table["distance"] = table["distance"].round(5) + 0.0
        parts.append(table.assign(dataset=file.subject[0], subject=file.subject[1]))
    columns = ["dataset", "subject", "image_id", "space", "distance"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def novelty_blocks(
    scores: "pd.DataFrame",
    novelty: "pd.DataFrame",
    columns: Sequence[tuple[str, str]],
    directions: Directions,
    simulated: Mapping[str, bool],
    folder: Path,
) -> list[Block]:
    """Score against distance to training, for the methods that a reader compares."""
    from afterimage.report.figures import novelty_plot

    blocks = []
    for subject, distances in by_subject(novelty):
        mine = scores[
            (scores["dataset"] == subject[0])
            & (scores["subject"] == subject[1])
            & ~scores["method"].isin(["mean", "image_only", "text_only"])
        ]
        pair = _novelty_metric(mine, columns)
        if pair is None:
            continue
        mine = mine[(mine["protocol"] == pair[0]) & (mine["metric"] == pair[1])]
        is_simulated = simulated.get(subject[0], False)
        charts = []
        for space, rows in distances.groupby("space"):
            distance = rows.set_index("image_id")["distance"]
            if distance.nunique() < 2:
                continue
            x, y = {}, {}
            for method, part in mine.groupby("method"):
                both = part.groupby("image_id")["value"].mean().to_frame("value")
                both = both.join(distance, how="inner").dropna()
                if len(both):
                    x[str(method)] = both["distance"].to_numpy()
                    y[str(method)] = both["value"].to_numpy()
            if not x:
                continue
            where = space_name(space)
            better = directions.better(pair)
            score = f"{metric_name(pair[1])}{f' ({better} is better)' if better else ''}"
            names = (f"distance to the nearest training image ({where})", score)
            description = (
                f"{metric_name(pair[1])} of each test image against its distance ({where}) to the "
                f"nearest training image, for {', '.join(method_name(m) for m in x)}."
            )
            with style():
                figure = novelty_plot(x, y, names, f"Novelty, {label(subject, is_simulated)}")
                charts.append(
                    saver(folder, subject, is_simulated)(
                        figure,
                        f"novelty-{space}",
                        "Each dot is a test image; the lines join the means of four equal parts. "
                        "A score that gets worse to the right leans on pictures like those trained "
                        "on.",
                        description,
                    )
                )
        if charts:
            blocks.append(Block(subject, is_simulated, charts))
    return blocks


def _novelty_metric(
    scores: "pd.DataFrame", columns: Sequence[tuple[str, str]]
) -> tuple[str, str] | None:
    known = scores[scores["value"].notna()]
    present = set(zip(known["protocol"], known["metric"], strict=True))
    for name in ("lpips_alex", "pcc"):
        for pair in columns:
            if pair in present and pair[1] == name:
                return pair
    return next((pair for pair in columns if pair in present), None)
