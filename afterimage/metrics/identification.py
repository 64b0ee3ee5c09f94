"""Identification: is a reconstruction more like its own picture than like others?

All functions take a matrix of similarities, rows the seen pictures, columns the reconstructions,
with the true pairs on the diagonal, and give one value per image. They work on numpy arrays and on
torch tensors alike.
"""

import numpy as np

# Similarities are float32 correlations: what differs by less than their rounding is a tie, and a
# tie is no success. Without this a constant reconstruction would be identified by rounding errors.
TIE = 2e-6
# A row whose variation is no more than the rounding of its mean has no variation.
FLAT = 1e-6


def unit_rows(features):
    """Centre each row and scale it to length one, so that products of rows are Pearson's r.

    Parameters
    ----------
    features : float (n, d), numpy or torch

    Returns
    -------
    the same kind (n, d); a row without variance becomes zeros: it correlates with nothing
    """
    centred = features - features.mean(1)[:, None]
    length = ((centred * centred).sum(1) ** 0.5)[:, None]
    size = ((features * features).sum(1) ** 0.5)[:, None]
    flat = length <= FLAT * size
    return centred / (length + flat) * ~flat


def correlations(seen: np.ndarray, reconstructed: np.ndarray) -> np.ndarray:
    """Pearson's r of every seen row with every reconstructed row, (n, d) and (m, d) to (n, m)."""
    return unit_rows(seen) @ unit_rows(reconstructed).T


def two_way(similarity: np.ndarray, distractors: str) -> np.ndarray:
    """Share of distractors that are less similar than the true pair, for each image.

    Parameters
    ----------
    similarity : float (n, n), rows seen, columns reconstructed
    distractors : `real` compares each reconstruction with the other seen pictures (column-wise:
        Brain-Diffuser, MindEye); `generated` compares each seen picture with the reconstructions of
        the others (row-wise: Takagi and Nishimoto). A reconstruction that never changes scores 0.5
        with the first and 0 with the second.

    Returns
    -------
    float64 (n,); NaN where there is only one image
    """
    return beaten(similarity, distractors) / _others(similarity)


def beaten(similarity: np.ndarray, distractors: str) -> np.ndarray:
    """Number of distractors (of n - 1) that are less similar than the true pair, int (n,)."""
    similarity = np.asarray(similarity)
    true = np.diag(similarity)
    if distractors == "real":
        return (similarity < true[None, :] - TIE).sum(axis=0)
    if distractors == "generated":
        return (similarity < true[:, None] - TIE).sum(axis=1)
    raise ValueError(f"distractors: expected real or generated, found {distractors!r}")


def n_way(similarity: np.ndarray, distractors: str, n: int) -> np.ndarray:
    """Probability that the true pair beats all of n - 1 distractors drawn without replacement.

    Exact: with b of N others beaten it is C(b, n - 1) / C(N, n - 1), so nothing is drawn. `n_way`
    with n = 2 is `two_way`, with n = the number of images it is top-1 accuracy.

    Returns
    -------
    float64 (n_images,); NaN where there are fewer than n images
    """
    others = len(similarity) - 1
    if n < 2:
        raise ValueError(f"n-way identification needs n of at least 2, not {n}")
    count = beaten(similarity, distractors).astype(np.float64)
    if others < n - 1:
        return np.full(len(count), np.nan)
    chance = np.ones(len(count))
    for drawn in range(n - 1):
        chance *= np.maximum(count - drawn, 0) / (others - drawn)
    return chance


def _others(similarity: np.ndarray) -> float:
    return len(similarity) - 1 or float("nan")
