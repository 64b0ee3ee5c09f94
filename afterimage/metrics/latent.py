"""Scores of predicted latents, one value per image, in numpy alone.

Latents of pictures are (images, 4, h, w); latents of captions (images, tokens, width), whose first
token is the start token: the same vector for every caption, so it is reported apart.
"""

import numpy as np

from afterimage.errors import InputError
from afterimage.metrics.identification import TIE, unit_rows

ROWS = 1024


def latent_scores(
    predicted: np.ndarray,
    true: np.ndarray,
    training_mean: np.ndarray,
    target: str,
    image_ids: np.ndarray,
    optimal: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Every per-image score of one set of predictions.

    Parameters
    ----------
    predicted, true : float (n, ...) in the same order of images
    training_mean : float (...), the mean latent of the training images
    target : `image` or `text`
    image_ids : str (n,), named in errors
    optimal : float (n, ...), predictions of the best possible decoder, if known

    Returns
    -------
    name -> float64 (n,): `mse`, `mse_mean` (of predicting the training mean), `total` (squared
    distance to the mean of these images: r2 is 1 - sum of mse / sum of total), `two_way`; for text
    `mse_14` (the same as `mse`: without the start token) and `mse_15` (with it); `mse_optimal`

    Raises
    ------
    InputError
        if shapes differ or a prediction is not finite
    """
    if predicted.shape != true.shape:
        raise InputError(f"predicted {target} latents", f"shape {true.shape}", f"{predicted.shape}")
    _refuse_non_finite(predicted, image_ids, target)
    scores = {}
    if target == "text":
        scores["mse_15"] = squared_error(predicted, true)
        predicted, true, training_mean = predicted[:, 1:], true[:, 1:], training_mean[1:]
        optimal = None if optimal is None else optimal[:, 1:]
        scores["mse_14"] = squared_error(predicted, true)
    scores["mse"] = squared_error(predicted, true)
    scores["mse_mean"] = squared_error(training_mean[None], true)
    scores["total"] = squared_error(true.mean(axis=0, dtype=np.float64)[None], true)
    scores["two_way"] = latent_two_way(predicted, true)
    if optimal is not None:
        scores["mse_optimal"] = squared_error(optimal, true)
    return scores


def squared_error(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Mean squared difference over elements, float64 (n,); one prediction may serve all."""
    errors = np.empty(len(true))
    for start in range(0, len(true), ROWS):
        rows = slice(start, start + ROWS)
        part = predicted if len(predicted) == 1 else predicted[rows]
        difference = part.astype(np.float64) - true[rows]
        errors[rows] = np.square(difference).reshape(len(difference), -1).mean(axis=1)
    return errors


def latent_two_way(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Share of other images' true latents that each prediction is less like, by Pearson's r.

    Distractors are real latents, so a prediction that never changes scores 0.5 on average.
    """
    n = len(true)
    if n < 2:
        return np.full(n, np.nan)
    true_rows = unit_rows(true.reshape(n, -1).astype(np.float32))
    shares = np.empty(n)
    for start in range(0, n, ROWS):
        rows = np.arange(start, min(start + ROWS, n))
        part = unit_rows(predicted[rows].reshape(len(rows), -1).astype(np.float32))
        similarity = part @ true_rows.T
        own = similarity[np.arange(len(rows)), rows]
        shares[rows] = (similarity < own[:, None] - TIE).sum(axis=1) / (n - 1)
    return shares


def _refuse_non_finite(predicted: np.ndarray, image_ids: np.ndarray, target: str) -> None:
    for start in range(0, len(predicted), ROWS):
        part = predicted[start : start + ROWS].reshape(len(predicted[start : start + ROWS]), -1)
        bad = np.flatnonzero(~np.isfinite(part).all(axis=1))
        if len(bad):
            raise InputError(
                f"predicted {target} latents",
                "finite numbers",
                f"NaN or infinity for image {image_ids[start + bad[0]]}",
                "Train the decoder again.",
            )
