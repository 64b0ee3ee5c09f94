"""Features of the seen pictures, computed once, and of a batch's reconstructions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from afterimage.metrics.batches import Batch
from afterimage.metrics.identification import unit_rows
from afterimage.metrics.protocols import Metric, Step


@dataclass(frozen=True)
class FeatureKey:
    """What determines a feature vector; metrics that agree in it share it."""

    network: str
    seen: tuple[Step, ...]
    reconstructed: tuple[Step, ...]
    range: int
    layer: str

    @classmethod
    def of(cls, metric: Metric) -> "FeatureKey":
        """The features that a metric compares."""
        return cls(metric.network, metric.seen, metric.reconstruction, metric.range, metric.layer)


class Features:
    """Features of all seen pictures, as rows of length one, and of the current reconstructions.

    Parameters
    ----------
    networks : name -> `perceptual.FeatureNetwork`
    keys : the features that any metric needs
    """

    def __init__(self, networks: Mapping[str, Any], keys: Sequence[FeatureKey]) -> None:
        self.networks = networks
        self.keys = list(dict.fromkeys(keys))
        self.seen: dict[FeatureKey, Any] = {}
        self.reconstructed: dict[FeatureKey, Any] = {}
        self._parts: dict[FeatureKey, list] = {key: [] for key in self.keys}

    def add_seen(self, batch: Batch) -> None:
        """Add a batch of seen pictures; batches come in order."""
        for key, raw in self._compute(batch, "seen").items():
            self._parts[key].append(unit_rows(raw))

    def finish_seen(self) -> None:
        """Join the batches, one network's after the other."""
        import torch

        for key in self.keys:
            self.seen[key] = torch.cat(self._parts.pop(key))

    def read(self, batch: Batch) -> None:
        """Compute the features of a batch's reconstructions, (m, d) each, not yet scaled."""
        self.reconstructed = self._compute(batch, "reconstructed")

    def _compute(self, batch: Batch, side: str) -> dict[FeatureKey, Any]:
        calls: dict[tuple, list[FeatureKey]] = {}
        for key in self.keys:
            calls.setdefault((key.network, getattr(key, side), key.range), []).append(key)
        found: dict[FeatureKey, Any] = {}
        for (network, steps, value_range), keys in calls.items():
            layers = sorted({key.layer for key in keys})
            pictures = batch.tensor(side, steps)
            outputs = self.networks[network].features(pictures, layers, value_range)
            found.update({key: outputs[key.layer] for key in keys})
        return found
