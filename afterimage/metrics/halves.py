"""Two independent averages of every test image's repeats, to measure what noise allows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from afterimage.responses import (
    SESSION_ARRAYS,
    Normalisation,
    RepeatAverage,
    fill_not_finite,
    normalise_by_own_scalar,
)
from afterimage.stores import read_arrays, read_attributes

if TYPE_CHECKING:
    import pandas as pd

FITTED = ("voxel_kept", "voxel_mean", "voxel_std")


def choose_halves(trials: "pd.DataFrame") -> tuple["pd.DataFrame", float]:
    """Trials that go into the two halves, as many in each for every image.

    Parameters
    ----------
    trials : one split's trials; images shown once are left out

    Returns
    -------
    the chosen trials with a column `half` (0 or 1; the repeats alternate), and how many times more
    repeats an image has on average than a half holds; no trials where no image was shown twice
    """
    trials = trials.sort_values("trial")
    order = trials.groupby("image_id").cumcount()
    shown = trials.groupby("image_id")["trial"].transform("size")
    if not (shown >= 2).any():
        return trials.iloc[:0].assign(half=0), 1.0
    size = int(shown[shown >= 2].min()) // 2
    chosen = trials.assign(half=order % 2)[(shown >= 2) & (order < 2 * size)]
    repeats = shown[shown >= 2].groupby(trials["image_id"]).first().mean()
    return chosen, float(repeats) / size


def half_responses(
    chosen: "pd.DataFrame", betas: Sequence[str], area: str, training: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Average responses of both halves, normalised by the training statistics.

    Parameters
    ----------
    chosen : trials of `choose_halves`
    betas : stores of the split's trials, not normalised
    area : `lower` or `higher`
    training : the area's training responses

    Returns
    -------
    first and second half, float32 (n_images, n_voxels), and the image ids in order
    """
    method = read_attributes(training)["normalise"]
    sessions = SESSION_ARRAYS if method == "voxel_session" else ()
    normalisation = Normalisation.from_arrays(method, read_arrays(training, *FITTED, *sessions))
    voxels = int(normalisation.kept.sum())
    averages = [RepeatAverage(chosen["image_id"].to_numpy(), voxels) for _ in range(2)]
    for path in betas:
        part = read_arrays(path, area, "trial")
        own = chosen[chosen["trial"].isin(part["trial"])]
        rows = {int(trial): row for row, trial in enumerate(part["trial"])}
        for half, trials in own.groupby("half"):
            values = part[area][[rows[int(trial)] for trial in trials["trial"]]]
            values = normalisation.apply(values, trials["session"].to_numpy(), f"{area} halves")
            averages[int(half)].add(values, trials["image_id"].to_numpy())
    means = [average.mean() for average in averages]
    if method == "scalar":
        means = [normalise_by_own_scalar(mean) for mean in means]
    for mean in means:
        fill_not_finite(mean, 1.0, f"{area} halves")
    return means[0], means[1], averages[0].image_id
