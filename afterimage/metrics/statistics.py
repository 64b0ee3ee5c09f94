"""Intervals and comparisons over images: the image is the unit that is drawn again."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

MAX_COUNTS = 8_000_000
SIGNS = 2048  # patterns of signs that are drawn together


@lru_cache(maxsize=4)
def bootstrap_counts(n: int, n_bootstrap: int, seed: int) -> np.ndarray:
    """How often each of `n` images is drawn in each of `n_bootstrap` draws of n with replacement.

    Returns
    -------
    float64 (n_bootstrap, n); each row sums to n. The same arguments give the same draws, so that
    values of the same images are resampled together.
    """
    generator = np.random.default_rng([seed, n])
    counts = generator.multinomial(n, np.full(n, 1.0 / n), size=n_bootstrap).astype(np.float64)
    counts.flags.writeable = False
    return counts


def bootstrap_means(values: np.ndarray, n_bootstrap: int, seed: int) -> np.ndarray:
    """Means of the values under resampled images.

    Parameters
    ----------
    values : float (n,) or (n, k), k quantities of the same images

    Returns
    -------
    float64 (n_bootstrap,) or (n_bootstrap, k)
    """
    values = np.asarray(values, dtype=np.float64)
    n = len(values)
    rows = max(1, MAX_COUNTS // n)
    means = [
        bootstrap_counts(n, min(rows, n_bootstrap - start), seed + start) @ values / n
        for start in range(0, n_bootstrap, rows)
    ]
    return np.concatenate(means)


def interval(draws: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of bootstrap draws; NaN draws (an undefined ratio) are left out."""
    tail = 100 * (1 - level) / 2
    if not np.isfinite(draws).any():
        return float("nan"), float("nan")
    low, high = np.nanpercentile(draws, [tail, 100 - tail])
    return float(low), float(high)


def mean_interval(
    values: np.ndarray, n_bootstrap: int, seed: int, level: float = 0.95
) -> tuple[float, float, float]:
    """Mean of per-image values (n,) with its bootstrap interval over images."""
    values = np.asarray(values, dtype=np.float64)
    low, high = interval(bootstrap_means(values, n_bootstrap, seed), level)
    return float(values.mean()), low, high


def ratio_interval(
    numerator: np.ndarray, denominator: np.ndarray, n_bootstrap: int, seed: int
) -> tuple[float, float, float]:
    """Ratio of two sums over images, both (n,), numerator and denominator resampled together."""
    pair = np.stack([numerator, denominator], axis=1).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = pair[:, 0].sum() / pair[:, 1].sum()
        means = bootstrap_means(pair, n_bootstrap, seed)
        low, high = interval(means[:, 0] / means[:, 1])
    return float(value), low, high


def permutation_p(differences: np.ndarray, n_permutations: int, seed: int) -> float:
    """Two-sided p of the mean of paired differences (n,) under random changes of sign.

    The observed sign pattern counts as one of the permutations, so p is never zero. Differences
    of which all are zero give 1.
    """
    differences = np.asarray(differences, dtype=np.float64)
    return float(permutation_ps(differences[:, None], n_permutations, seed)[0])


def permutation_ps(differences: np.ndarray, n_permutations: int, seed: int) -> np.ndarray:
    """The same for many differences of the same images, (n, k) to (k,), with the same signs."""
    differences = np.asarray(differences, dtype=np.float64)
    n, k = differences.shape
    observed = np.abs(differences.sum(axis=0))
    # Sums of the same numbers in another order differ by rounding: a tie counts as as-extreme.
    least = observed - 1e-12 * np.abs(differences).sum(axis=0)
    generator = np.random.default_rng([seed, n])
    as_extreme = np.ones(k, dtype=np.int64)
    for start in range(0, n_permutations, SIGNS):
        size = min(n_permutations - start, SIGNS)
        bits = generator.integers(0, 256, size=(size, (n + 7) // 8), dtype=np.uint8)
        signs = np.unpackbits(bits, axis=1, count=n).astype(np.float64) * 2 - 1
        as_extreme += (np.abs(signs @ differences) >= least).sum(axis=0)
    return as_extreme / (n_permutations + 1)


def enough_permutations(n_tests: int, level: float = 0.05) -> int:
    """Draws that leave room below the level after Holm's correction of so many tests.

    The smallest p that N draws can give is 1 / (N + 1); times the number of tests it has to be a
    small part, a twentieth, of the level.
    """
    return max(9999, int(np.ceil(20 * n_tests / level)) - 1)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's step-down adjusted p values, in the given order; NaN stays NaN and counts for none."""
    given = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(given.shape, np.nan)
    known = np.flatnonzero(~np.isnan(given))
    order = known[np.argsort(given[known], kind="stable")]
    steps = given[order] * (len(order) - np.arange(len(order)))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(order) else steps
    return adjusted
