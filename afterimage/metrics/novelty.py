"""How new the test images are, and whether decoding does more than pick a training image."""

import numpy as np

from afterimage.metrics.identification import TIE, unit_rows

ROWS = 512


def _rows(latents: np.ndarray) -> np.ndarray:
    return unit_rows(np.asarray(latents, dtype=np.float32).reshape(len(latents), -1))


def nearest_training(test: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlation distance of every test item to its nearest training item.

    Parameters
    ----------
    test, train : float (n, ...) and (m, ...), latents or features

    Returns
    -------
    distance float64 (n,), 1 - r, and the nearest item's position int (n,)
    """
    train_rows = _rows(train)
    distance, nearest = np.empty(len(test)), np.empty(len(test), dtype=np.int64)
    for start in range(0, len(test), ROWS):
        similarity = _rows(test[start : start + ROWS]) @ train_rows.T
        nearest[start : start + ROWS] = similarity.argmax(axis=1)
        distance[start : start + ROWS] = 1 - similarity.max(axis=1)
    return distance, nearest


def novelty_identification(
    predicted: np.ndarray, true: np.ndarray, train: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Identify the truth among itself and all training targets (Shirakawa et al. 2025).

    A decoder that only retrieves training targets never ranks the truth first.

    Parameters
    ----------
    predicted, true : float (n, ...), same order; train : float (m, ...)

    Returns
    -------
    top float64 (n,): 1 where the truth is more like the prediction than every training target is;
    share float64 (n,): the share of training targets that are less like it
    """
    true_rows, train_rows = _rows(true), _rows(train)
    top, share = np.empty(len(true)), np.empty(len(true))
    for start in range(0, len(true), ROWS):
        rows = slice(start, start + ROWS)
        predicted_rows = _rows(predicted[rows])
        own = (predicted_rows * true_rows[rows]).sum(axis=1)
        beaten = (predicted_rows @ train_rows.T < own[:, None] - TIE).sum(axis=1)
        top[rows], share[rows] = beaten == len(train_rows), beaten / len(train_rows)
    return top, share
