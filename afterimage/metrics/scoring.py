"""Scoring one method's pictures under several protocols, in two passes over the images.

The first pass computes the networks' features of the seen pictures, once. The second reads each
image with all its samples and hands it to every metric.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from afterimage.jobs import made_ahead, pool_of, progress
from afterimage.metrics import scorers
from afterimage.metrics.batches import Batch, full_batches, seen_batches
from afterimage.metrics.features import FeatureKey, Features
from afterimage.metrics.pictures import Reconstructions, SeenPicture, read_picture
from afterimage.metrics.protocols import Metric, Protocol

COLUMNS = ["image_id", "sample", "protocol", "metric", "value", "reason"]
Row = tuple[str, int, str, str, float, str]


@dataclass(frozen=True)
class Networks:
    """Loaded networks by name, LPIPS apart, and for absent ones the reason."""

    features: Mapping[str, Any] = field(default_factory=dict)
    lpips: Any = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"


def score_method(
    found: Reconstructions,
    seen_picture: SeenPicture,
    protocols: Sequence[Protocol],
    networks: Networks,
    batch_size: int,
    read: Callable[[Path], np.ndarray] = read_picture,
    threads: int = 1,
) -> list[Row]:
    """Every image x sample x metric of one method, as rows of COLUMNS.

    Parameters
    ----------
    found : the method's files
    seen_picture : image id -> uint8 (h, w, 3)
    batch_size : pictures that go through a network together
    read : how a reconstruction's file becomes uint8 (h, w, 3)
    threads : pictures that are read and prepared at the same time

    Returns
    -------
    `sample` is -1 where a value belongs to all samples together. A metric that cannot be computed
    has one row, without image id and with the reason.
    """
    ids = found.image_ids
    rows: list[Row] = []
    at_work: list[tuple[str, scorers.Scorer]] = []
    for protocol in protocols:
        for metric in protocol.metrics:
            reason = why_not(metric, networks, len(ids))
            if reason:
                nothing = float("nan")
                rows.append(("", scorers.AVERAGE, protocol.name, metric.name, nothing, reason))
            else:
                at_work.append((protocol.name, _scorer(metric, networks)))
    metrics = [scorer.metric for _, scorer in at_work]
    device = networks.device
    with pool_of(threads) as each:
        seen = seen_batches(found, seen_picture, batch_size, device, each)
        features = _seen_features(metrics, networks, seen)
        batches = full_batches(found, seen_picture, batch_size, device, read, each)
        for batch in progress(_ready(batches, metrics, device), "batches of pictures scored"):
            features.read(batch)
            for _, scorer in at_work:
                scorer.add(batch, features)
    for protocol_name, scorer in at_work:
        name, found_values = scorer.metric.name, list(scorer.values())
        for position, sample, value in found_values:
            rows.append((ids[position], sample, protocol_name, name, value, ""))
        if not found_values:
            reason = "no sample has pictures of enough images"
            rows.append(("", scorers.AVERAGE, protocol_name, name, float("nan"), reason))
    return rows


def _seen_features(
    metrics: Sequence[Metric], networks: Networks, batches: Iterator[Batch]
) -> Features:
    compared = [m for m in metrics if m.measure in ("distance", "identification")]
    features = Features(networks.features, [FeatureKey.of(metric) for metric in compared])
    if compared:
        for batch in _ready(batches, compared, networks.device):
            features.add_seen(batch)
        features.finish_seen()
    return features


def _ready(batches: Iterator[Batch], metrics: Sequence[Metric], device: str) -> Iterator[Batch]:
    """Batches, on a GPU read and prepared while it works on the one before."""
    if device == "cpu":
        return batches
    return made_ahead(batch.ready(metrics) for batch in batches)


def _scorer(metric: Metric, networks: Networks) -> scorers.Scorer:
    if metric.measure in ("pcc", "ssim"):
        return scorers.PixelScorer(metric)
    if metric.measure == "lpips":
        return scorers.LpipsScorer(metric, networks.lpips)
    if metric.measure == "distance":
        return scorers.DistanceScorer(metric)
    return scorers.IdentificationScorer(metric)


def why_not(metric: Metric, networks: Networks, n_images: int) -> str:
    """Why a metric cannot be computed, or an empty string."""
    if metric.measure == "lpips" and networks.lpips is None:
        return networks.reasons.get("lpips", "no weights of alexnet with the LPIPS heads")
    if metric.layer:
        network = networks.features.get(metric.network)
        if network is None:
            return networks.reasons.get(metric.network, f"no weights of {metric.network}")
        if not network.has(metric.layer):
            return f"the weights of {metric.network} do not reach its layer {metric.layer}"
    if metric.measure == "identification" and n_images < metric.ways:
        return f"identification among {metric.ways} images, but the method has {n_images}"
    return ""
