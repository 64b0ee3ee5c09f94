"""Bootstrap over images of the figures of a whole set of latents, from Gram matrices.

A draw of n images is a row of counts c. What the figures need of the drawn images are sums, and
products of the counts with n x n matrices of inner products G give them, whatever the number of
dimensions: their centred squares are c' diag(G) - c' G c / n.
"""

import numpy as np

from afterimage.metrics.controls import ceiling_of, centred
from afterimage.metrics.statistics import bootstrap_counts


def covariation(one: np.ndarray, other: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Products of both, centred, summed over the drawn images and all dimensions.

    Parameters
    ----------
    one, other : float (n, ...), latents of the same images
    counts : (draws, n), how often each image is drawn; rows sum to n

    Returns
    -------
    float64 (draws,)
    """
    gram = centred(one) @ centred(other).T
    return counts @ np.diag(gram) - np.einsum("bi,bi->b", counts @ gram, counts) / len(gram)


def correlations(one: np.ndarray, other: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """`controls.pooled_correlation` of every draw, (draws,); NaN where either does not vary."""
    both = covariation(one, other, counts)
    each = [covariation(rows, rows, counts) for rows in (one, other)]
    return _ratio(both, np.sqrt(np.maximum(each[0] * each[1], 0)))


def variance_ratios(predicted: np.ndarray, true: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """`controls.variance_ratio` of every draw, (draws,); NaN where the targets do not vary."""
    return _ratio(covariation(predicted, predicted, counts), covariation(true, true, counts))


def noise_ceilings(
    one: np.ndarray, other: np.ndarray, lengthening: float, counts: np.ndarray
) -> np.ndarray:
    """`controls.noise_ceiling` of every draw, (draws,); halves that do not agree count as 0.

    0 is what the ceiling tends to as the halves' r does; left out, such draws would raise the
    interval's lower end.
    """
    return ceiling_of(np.maximum(correlations(one, other, counts), 0), lengthening)


def participation_ratios(latents: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """`controls.participation_ratio` of every draw without the pairs of an image and its copy.

    The sum of squared eigenvalues is that of squared inner products over all pairs of images. An
    image drawn twice pairs with itself, which new images would not: such a product is a squared
    length, and where there are more dimensions than images they halve the ratio. So each copy
    keeps its own square alone, and the mean stays that of the undrawn images. Pairs of different
    images are drawn (n - 1) / n times on average, and weigh the more: both sums then have over
    draws the mean that they are without drawing.

    Returns
    -------
    float64 (draws,); a constant has 0
    """
    rows = centred(latents)
    n = len(rows)
    squares = np.square(rows @ rows.T)
    own = np.diag(squares)
    pairs = np.einsum("bi,bi->b", counts @ (squares - np.diag(own)), counts) * n / (n - 1)
    return np.nan_to_num(_ratio(np.square(counts @ np.sqrt(own)), counts @ own + pairs))


def set_draws(
    predicted: np.ndarray,
    true: np.ndarray,
    target: str,
    halves: tuple[np.ndarray, np.ndarray, float] | None,
    n_bootstrap: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """The figures of `latent_controls.collapse_scores` under resampled images.

    Parameters
    ----------
    predicted, true, target, halves : as there
    n_bootstrap, seed : number of draws, which are those of per-image values of as many images

    Returns
    -------
    name -> float64 (n_bootstrap,)
    """
    first = 1 if target == "text" else 0
    predicted, true = predicted[:, first:], true[:, first:]
    if len(true) < 2:
        return {}
    counts = bootstrap_counts(len(true), n_bootstrap, seed)
    draws = {
        "participation_ratio": participation_ratios(predicted, counts),
        "participation_ratio_true": participation_ratios(true, counts),
        "variance_ratio": variance_ratios(predicted, true, counts),
        "r": correlations(predicted, true, counts),
    }
    if halves is not None:
        one, other, lengthening = halves
        counts = bootstrap_counts(len(one), n_bootstrap, seed)
        draws["r_ceiling"] = noise_ceilings(one[:, first:], other[:, first:], lengthening, counts)
    return draws


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """NaN where the lower is 0 but for rounding."""
    known = below > 1e-12 * max(float(np.max(below)), 0.0)
    return np.divide(above, below, out=np.full(len(below), np.nan), where=known)
