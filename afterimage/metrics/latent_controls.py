"""Figures of a whole set of predicted latents: how far they collapse, and what noise allows."""

import numpy as np

from afterimage.metrics.controls import (
    noise_ceiling,
    participation_ratio,
    pooled_correlation,
    variance_ratio,
)
from afterimage.metrics.novelty import novelty_identification


def novelty_scores(
    predicted: np.ndarray, true: np.ndarray, train: np.ndarray, target: str
) -> dict[str, np.ndarray]:
    """Identification of the truth among all training targets (m, ...), the start token left out.

    Returns
    -------
    `novelty_identification` (1 where the truth ranks first) and `novelty_two_way` (share of
    training targets that are less like the prediction), float64 (n,)
    """
    if target == "text":
        predicted, true, train = predicted[:, 1:], true[:, 1:], train[:, 1:]
    top, share = novelty_identification(predicted, true, train)
    return {"novelty_identification": top, "novelty_two_way": share}


def collapse_scores(
    predicted: np.ndarray,
    true: np.ndarray,
    target: str,
    halves: tuple[np.ndarray, np.ndarray, float] | None = None,
) -> dict[str, float]:
    """Diagnostics of predictions (n, ...), the start token of text left out.

    Parameters
    ----------
    halves : predictions (m, ...) from the two halves of the repeats, and how many times more
        repeats an image has than a half holds

    Returns
    -------
    `participation_ratio` and `participation_ratio_true` (effective dimensions of the predictions
    and of the targets), `variance_ratio`, `r` (over images, pooled over latent
    dimensions), and with halves `r_ceiling`
    """
    first = 1 if target == "text" else 0
    predicted, true = predicted[:, first:], true[:, first:]
    if len(true) < 2:
        return {}
    scores = {
        "participation_ratio": participation_ratio(predicted),
        "participation_ratio_true": participation_ratio(true),
        "variance_ratio": variance_ratio(predicted, true),
        "r": pooled_correlation(predicted, true),
    }
    if halves is not None:
        one, other, lengthening = halves
        scores["r_ceiling"] = noise_ceiling(one[:, first:], other[:, first:], lengthening)
    return scores
