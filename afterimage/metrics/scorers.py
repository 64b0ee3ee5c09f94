"""One scorer per kind of measure: it is fed batches and gives a value per image and sample."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from afterimage.metrics import pixel
from afterimage.metrics.batches import Batch
from afterimage.metrics.features import FeatureKey, Features
from afterimage.metrics.identification import n_way, unit_rows
from afterimage.metrics.protocols import Metric

AVERAGE = -1  # the sample number of a value that belongs to all samples of an image together


class Scorer(ABC):
    """Collects one metric's values."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.found: list[tuple[int, int, float]] = []

    @abstractmethod
    def add(self, batch: Batch, features: Features) -> None:
        """Take in a batch of images with all their samples."""

    def values(self) -> Iterator[tuple[int, int, float]]:
        """Position of the image, sample, value."""
        for position, sample, value in self.found:
            if self.metric.samples != "first" or sample == 0:
                yield position, sample, value

    def note(self, batch: Batch, values: Any) -> None:
        """Keep a batch's values, one per reconstruction."""
        for owner, sample, value in zip(batch.owner, batch.sample, values, strict=True):
            self.found.append((batch.start + int(owner), int(sample), float(value)))


class PixelScorer(Scorer):
    """PCC or SSIM; whatever depends on the seen picture alone is computed once for its samples."""

    def add(self, batch: Batch, features: Features) -> None:
        """Score each reconstruction against its picture."""
        seen = batch.pixels("seen", self.metric.seen)
        reconstructed = batch.pixels("reconstructed", self.metric.reconstruction)
        if not isinstance(seen, list):
            self.note(batch, self._against(seen[batch.owner])(reconstructed).cpu().numpy())
            return
        # On the CPU one picture at a time, which stays in the processor's cache.
        against = list(batch.each(lambda picture: self._against(picture[None]), seen))
        values = batch.each(
            lambda own, picture: against[own](picture[None])[0], batch.owner, reconstructed
        )
        self.note(batch, list(values))

    def _against(self, seen: Any) -> Callable[[Any], Any]:
        """A function that scores as many reconstructions against these pictures."""
        if self.metric.measure == "pcc":
            own = pixel.unit_rows_of(seen)
            return lambda other: pixel.pcc_of_rows(own, pixel.rows_of(other))
        window = WINDOWS[self.metric.window](per_column=self.metric.per_column)
        strip = STRIP if isinstance(seen, np.ndarray) else None
        moments = pixel.moments(pixel.gray(seen), window, strip)
        return lambda other: pixel.ssim(moments, pixel.gray(other), window)


STRIP = 64  # rows of a picture of usual width that stay in a core's cache
WINDOWS = {"uniform": pixel.uniform_window, "gaussian": pixel.gaussian_window}


class LpipsScorer(Scorer):
    """LPIPS; the seen picture's activations serve all its samples."""

    def __init__(self, metric: Metric, network: Any) -> None:
        super().__init__(metric)
        self.network = network

    def add(self, batch: Batch, features: Features) -> None:
        """Score a batch in two forward passes."""
        import torch

        seen = self.network.features(batch.tensor("seen", self.metric.seen))
        other = self.network.features(batch.tensor("reconstructed", self.metric.reconstruction))
        owner = torch.as_tensor(batch.owner, device=other[0].device)
        distances = self.network.distance([stage[owner] for stage in seen], other)
        self.note(batch, distances.cpu().numpy())


class DistanceScorer(Scorer):
    """Correlation distance, 1 - r, between a network's features of the two pictures."""

    def add(self, batch: Batch, features: Features) -> None:
        """Score a batch against the features of its seen pictures."""
        key = FeatureKey.of(self.metric)
        seen = features.seen[key][batch.start : batch.start + len(batch.seen)]
        raw = features.reconstructed[key]
        if self.metric.samples == "average_features":
            mean = _mean_by_owner(raw, batch)
            distances = 1 - (unit_rows(mean) * seen).sum(1)
            for position, value in enumerate(distances.cpu().numpy()):
                self.found.append((batch.start + position, AVERAGE, float(value)))
            return
        distances = 1 - (unit_rows(raw) * seen[batch.owner]).sum(1)
        self.note(batch, distances.cpu().numpy())


class IdentificationScorer(Scorer):
    """Identification among the images of the set; each sample is a set of its own."""

    def __init__(self, metric: Metric) -> None:
        super().__init__(metric)
        self.columns: dict[int, list[tuple[int, np.ndarray]]] = {}

    def add(self, batch: Batch, features: Features) -> None:
        """Correlate a batch's reconstructions with every seen picture."""
        key = FeatureKey.of(self.metric)
        raw, owner, sample = features.reconstructed[key], batch.owner, batch.sample
        if self.metric.samples == "average_features":
            raw = _mean_by_owner(raw, batch)
            owner, sample = np.arange(len(batch.seen)), np.full(len(batch.seen), AVERAGE)
        similarity = (unit_rows(raw) @ features.seen[key].T).cpu().numpy()
        for row, (own, number) in enumerate(zip(owner, sample, strict=True)):
            place = batch.start + int(own)
            self.columns.setdefault(int(number), []).append((place, similarity[row]))

    def values(self) -> Iterator[tuple[int, int, float]]:
        """Identify within each sample, or once after averaging correlations over samples."""
        samples = {0: self.columns.get(0, [])} if self.metric.samples == "first" else self.columns
        if self.metric.samples == "average_correlations":
            samples = {AVERAGE: _mean_columns(self.columns)}
        for sample, columns in sorted(samples.items()):
            places = [place for place, _ in columns]
            if len(places) < self.metric.ways:
                continue
            similarity = np.stack([column[places] for _, column in columns], axis=1)
            shares = n_way(similarity, self.metric.distractors, self.metric.ways)
            for place, share in zip(places, shares, strict=True):
                yield place, sample, float(share)


def _mean_columns(columns: dict[int, list[tuple[int, np.ndarray]]]) -> list[tuple[int, np.ndarray]]:
    by_place: dict[int, list[np.ndarray]] = {}
    for found in columns.values():
        for place, column in found:
            by_place.setdefault(place, []).append(column)
    return [(place, np.mean(own, axis=0)) for place, own in sorted(by_place.items())]


def _mean_by_owner(raw: Any, batch: Batch):
    import torch

    total = torch.zeros((len(batch.seen), raw.shape[1]), dtype=raw.dtype, device=raw.device)
    owner = torch.as_tensor(batch.owner, device=raw.device)
    total.index_add_(0, owner, raw)
    counts = torch.bincount(owner, minlength=len(batch.seen)).to(raw.dtype)
    return total / counts[:, None]
