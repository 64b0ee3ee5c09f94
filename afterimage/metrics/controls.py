"""What scores mean: category knowledge alone, collapsed predictions, and the noise of the brain."""

from collections import Counter
from collections.abc import Sequence
from math import comb

import numpy as np


def category_only(categories: Sequence[str], ways: int = 2) -> np.ndarray:
    """Identification of each image by someone who knows its category and nothing else.

    Pictures of one category are then alike, and a tie is settled by chance: with s of the ways - 1
    distractors of the same category the chance to be right is 1 / (s + 1). For two ways the mean is
    1 - 1/2 sum n_k (n_k - 1) / (n (n - 1)).

    Parameters
    ----------
    categories : one name per image (n,)
    ways : pictures to choose among

    Returns
    -------
    float64 (n,); NaN where there are fewer than `ways` images
    """
    n, counts = len(categories), Counter(categories)
    others, drawn = n - 1, ways - 1
    if others < drawn:
        return np.full(n, np.nan)
    chance = {}
    for count in set(counts.values()):
        alike = count - 1
        chance[count] = sum(
            comb(alike, s) * comb(others - alike, drawn - s) / comb(others, drawn) / (s + 1)
            for s in range(min(alike, drawn) + 1)
        )
    return np.array([chance[counts[name]] for name in categories])


def centred(latents: np.ndarray) -> np.ndarray:
    """Latents (n, ...) as float64 rows around their mean; those of a constant are exactly 0."""
    rows = np.asarray(latents, dtype=np.float64).reshape(len(latents), -1)
    # The mean of equal numbers may differ from them by rounding, that of zeros does not.
    rows = rows - rows[0]
    return rows - rows.mean(axis=0)


def participation_ratio(latents: np.ndarray) -> float:
    """Effective number of dimensions: (sum of eigenvalues)^2 / sum of their squares.

    Eigenvalues are those of the covariance of the latents (n, ...) over images. Predictions that
    vary along fewer dimensions than their targets have a lower ratio; a constant has 0.
    """
    rows = centred(latents)
    # The Gram matrix has the covariance's eigenvalues; the smaller of the two is the cheaper.
    gram = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows
    trace = float(np.trace(gram))
    return trace**2 / float(np.square(gram).sum()) if trace > 0 else 0.0


def variance_ratio(predicted: np.ndarray, true: np.ndarray) -> float:
    """Total variance over images of the predictions, as a share of the targets'."""
    spread = [np.square(centred(latents)).sum() for latents in (predicted, true)]
    return float(spread[0] / spread[1]) if spread[1] > 0 else float("nan")


def pooled_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Covariance over images, summed over dimensions, by the root of both summed variances.

    NaN where either, (n, ...), does not vary. Sums of few images' dimensions are far less noisy
    than each dimension's r, of which a root would turn noise into agreement.
    """
    first, second = centred(one), centred(other)
    length = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / length) if length > 0 else float("nan")


def noise_ceiling(half_one: np.ndarray, half_other: np.ndarray, lengthening: float = 2.0) -> float:
    """Highest pooled correlation that noise in the test responses allows a decoder.

    Predictions from two halves of an image's repeats share the signal and not the noise. Their
    pooled correlation r over images gives the reliability of a prediction from k times as many
    repeats as a half holds, k r / (1 + (k - 1) r) (Spearman and Brown), whose square root bounds
    its pooled correlation with anything noise-free. Exact for linear decoders.

    Parameters
    ----------
    half_one, half_other : float (n, ...), one decoder's predictions for the same images
    lengthening : k; 2 where the two halves make up all repeats

    Returns
    -------
    0..1; NaN where the halves do not agree (r of 0 or less), which says nothing of a ceiling
    """
    r = pooled_correlation(half_one, half_other)
    if not r > 0:
        return float("nan")
    return float(ceiling_of(r, lengthening))


def ceiling_of(r, lengthening: float):
    """The root of Spearman and Brown's reliability, elementwise, from halves' r of 0 or more."""
    return np.sqrt(lengthening * r / (1 + (lengthening - 1) * r))
