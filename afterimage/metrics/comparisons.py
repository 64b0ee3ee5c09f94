"""Paired differences on the same images, with intervals and permutation p values."""

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from afterimage.jobs import progress
from afterimage.metrics import statistics
from afterimage.metrics.tabulation import per_image

if TYPE_CHECKING:
    import pandas as pd

LATENT_SCORES = ("mse", "two_way")
LATENT_SPLITS = ("validation", "test")
END = ["reference", "difference", "low", "high", "p", "p_holm"]


def latent_comparisons(scores: "pd.DataFrame", n_bootstrap: int, seed: int) -> "pd.DataFrame":
    """Every pair of decoders on validation and test images: decoder - reference, per score."""
    keys = ["dataset", "subject", "target", "split", "score"]
    if not scores.empty:
        chosen = scores["score"].isin(LATENT_SCORES) & scores["split"].isin(LATENT_SPLITS)
        scores = scores[chosen]
    return _compare(scores, keys, "decoder", None, "n", n_bootstrap, seed)


def image_comparisons(
    scores: "pd.DataFrame",
    methods: Sequence[str],
    n_bootstrap: int,
    seed: int,
) -> "pd.DataFrame":
    """Each of `methods` against every other method: method - reference, per protocol and metric."""
    keys = ["dataset", "subject", "protocol", "metric"]
    if not scores.empty:
        scores = scores[scores["image_id"] != ""]
    return _compare(scores, keys, "method", methods, "n_images", n_bootstrap, seed)


def _compare(
    scores: "pd.DataFrame",
    keys: list[str],
    who: str,
    focus: Sequence[str] | None,
    count: str,
    n_bootstrap: int,
    seed: int,
) -> "pd.DataFrame":
    import pandas as pd

    found: list[dict[str, Any]] = []
    paired: list[np.ndarray] = []
    if not scores.empty:
        for names, rows in progress(scores.groupby(keys, sort=True), f"{who}s compared, groups"):
            values = per_image(rows, [who])
            for one, other in _pairs(list(values.columns), focus):
                both = (values[one] - values[other]).dropna().to_numpy()
                if not len(both):
                    continue
                difference, low, high = statistics.mean_interval(both, n_bootstrap, seed)
                line = dict(zip(keys, names, strict=True))
                line |= {who: one, "reference": other, "difference": difference}
                found.append({**line, "low": low, "high": high, count: len(both)})
                paired.append(both)
    table = pd.DataFrame(found, columns=[*keys, who, *END, count])
    table["p"] = _ps(paired, seed)
    table["p_holm"] = statistics.holm(table["p"].to_numpy(dtype=float))
    return table


def _ps(paired: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """p of every row, from as many permutations as the number of rows asks for."""
    n_permutations = statistics.enough_permutations(len(paired))
    found = np.full(len(paired), np.nan)
    for n in {len(both) for both in paired}:
        rows = [row for row, both in enumerate(paired) if len(both) == n]
        together = np.stack([paired[row] for row in rows], axis=1)
        found[rows] = statistics.permutation_ps(together, n_permutations, seed)
    return found


def _pairs(names: list[str], focus: Sequence[str] | None) -> list[tuple[str, str]]:
    if focus is None:
        return list(combinations(names, 2))
    pairs: list[tuple[str, str]] = []
    for one in focus:
        if one in names:
            others = [other for other in names if other != one]
            pairs += [(one, other) for other in others if (other, one) not in pairs]
    return pairs
