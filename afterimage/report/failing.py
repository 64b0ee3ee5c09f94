"""Which images fail: where the best decoder is no better than the shuffled control."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from afterimage.report.answers import MISSING, Answer
from afterimage.report.directions import Directions
from afterimage.report.gallery import Gallery
from afterimage.report.words import metric_name

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 8
"""Images that the answer itself links; the gallery, sorted by the gain, has all of them."""


def which_fail(
    scores: "pd.DataFrame", galleries: Sequence[Gallery], directions: Directions
) -> Answer:
    """Images on which `best` scores no better than `shuffled`, the least gain first, linked."""
    examples: list[tuple[str, list[tuple[str, str]]]] = []
    links = []
    n_failed = n_images = 0
    names = []
    for gallery in galleries:
        metric = failing_metric(scores, gallery)
        if metric is None:
            continue
        best, shuffled = (
            per_image(scores, gallery, method, metric) for method in ("best", "shuffled")
        )
        gain = (directions.sign(metric) * (best - shuffled)).dropna()
        if not len(gain):
            continue
        names.append(metric_name(metric[1]))
        gain = gain.sort_values(kind="stable")
        failed = gain[gain <= 0].index
        n_failed, n_images = n_failed + len(failed), n_images + len(gain)
        subject = ", ".join(gallery.subject)
        what = f"{len(failed)} of {len(gain)} fail" if len(failed) else "none fails; least gain"
        chosen = [str(image) for image in (failed if len(failed) else gain.index[:4])]
        more = f", of which {SHOWN}" if len(chosen) > SHOWN else ""
        examples.append(
            (f"{subject}, {what}{more}", [(i, gallery_link(gallery, i)) for i in chosen[:SHOWN]])
        )
        sort = f"sort=gain:{':'.join(metric)}&of=best&order=worst"
        links.append((f"{subject}: all, the least gain first", f"{gallery_link(gallery)}?{sort}"))
    question = "Which images fail?"
    if not links:
        said = f"{MISSING} no scores of both the best decoder and the shuffled control."
        return Answer(question, [said], [("Gallery", "#gallery")])
    line = (
        f"On {n_failed} of {n_images} test images the best decoder's "
        f"{' or '.join(dict.fromkeys(names))} is no better than the shuffled control's. "
        "The least gain first:"
    )
    return Answer(question, [line], links, [], examples)


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
    """One method's mean over samples of every image: image id -> value."""
    rows = scores[
        (scores["dataset"] == gallery.subject[0])
        & (scores["subject"] == gallery.subject[1])
        & (scores["method"] == method)
        & (scores["protocol"] == metric[0])
        & (scores["metric"] == metric[1])
    ]
    return rows.groupby("image_id")["value"].mean()


def gallery_link(gallery: Gallery, image_id: str = "") -> str:
    """The address, within the page, of a subject's gallery or of one of its images."""
    names = [*gallery.subject, image_id] if image_id else gallery.subject
    return "#/" + "/".join(quote(name, safe="") for name in names)
