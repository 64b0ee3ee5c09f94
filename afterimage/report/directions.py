"""Which way the run's metrics point and what guessing scores, as its protocols say."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

Pair = tuple[str, str]
"""A protocol's name and a metric's."""


class Direction(TypedDict):
    """`better` is 'higher' or 'lower'; `chance` what guessing scores, None where that depends."""

    better: str
    chance: float | None


def directions_of(protocols: Sequence[str]) -> dict[str, Direction]:
    """What the page is told of every metric of the named protocols: "protocol:metric" -> this.

    Guessing among n pictures is right once in n. (A constant picture, which ties with itself,
    scores less where the distractors are generated.)
    """
    from afterimage.metrics.protocols import load_protocols

    return {
        f"{protocol.name}:{metric.name}": {
            "better": "lower" if metric.lower_is_better else "higher",
            "chance": 1 / metric.ways if metric.measure == "identification" else None,
        }
        for protocol in load_protocols(protocols)
        for metric in protocol.metrics
    }


class Directions:
    """The same, asked by protocol and metric; it says nothing of a metric that it was not told."""

    def __init__(self, told: Mapping[str, Mapping[str, Any]]) -> None:
        self._told = told

    def better(self, pair: Pair) -> str:
        """'higher', 'lower', or '' for a metric of no known protocol."""
        return str(self._told.get(":".join(pair), {}).get("better", ""))

    def chance(self, pair: Pair) -> float | None:
        """What guessing scores in identification; None for every other metric."""
        return self._told.get(":".join(pair), {}).get("chance")

    def sign(self, pair: Pair) -> int:
        """Minus one where lower is better: a score times it grows with how good it is."""
        return -1 if self.better(pair) == "lower" else 1

    def arrow(self, pair: Pair) -> str:
        """The arrow beside the metric's name."""
        from afterimage.report.words import ARROWS

        return ARROWS[self.better(pair)]
