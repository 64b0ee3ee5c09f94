"""Averaging over repeats, and what repeats tell of a voxel's noise."""

import numpy as np

from afterimage.responses.normalisation import blocks


class RepeatAverage:
    """Mean response of every image, added up over parts of the trials in float64.

    Memory is that of the images, not of the trials.
    """

    def __init__(self, image_ids: np.ndarray, n_voxels: int) -> None:
        """image_ids : every image that will come, repeated or not."""
        self.image_id = np.unique(np.asarray(image_ids, dtype=str))
        self.count = np.zeros(len(self.image_id), np.int64)
        self._sum = np.zeros((len(self.image_id), n_voxels))

    def add(self, x: np.ndarray, image_id: np.ndarray) -> None:
        """Add trials: x (n_trials, n_voxels), image_id (n_trials,)."""
        where = np.searchsorted(self.image_id, np.asarray(image_id, dtype=str))
        for row, image in enumerate(where):
            self._sum[image] += x[row]
        self.count += np.bincount(where, minlength=len(self.count))

    def mean(self) -> np.ndarray:
        """(n_images, n_voxels) float32, in the order of `image_id`, which is sorted."""
        return (self._sum / self.count[:, None]).astype(np.float32)


def signal_to_noise(x: np.ndarray, image_id: np.ndarray) -> np.ndarray:
    """Noise-ceiling signal-to-noise ratio (ncsnr) of every voxel from repeated images.

    The ratio of the standard deviation of the responses to different images to that of the
    responses to the same one. Both variances are the unbiased estimates of a one-way random
    effects model with unequal numbers of repeats (Searle, Casella & McCulloch, 1992, section
    3.6), the first set to zero where it comes out negative; Allen et al. (2022) define the ratio.

    Parameters
    ----------
    x : (n_trials, n_voxels) training trials; image_id : (n_trials,)

    Returns
    -------
    (n_voxels,) float64; NaN if no image is repeated
    """
    n_trials, n_voxels = x.shape
    _, group, count = np.unique(image_id, return_inverse=True, return_counts=True)
    n_images = len(count)
    if n_images == n_trials or n_images < 2:
        return np.full(n_voxels, np.nan)
    order = np.argsort(group, kind="stable")
    starts = np.concatenate([[0], np.cumsum(count)[:-1]])
    effective = (n_trials - (count**2).sum() / n_trials) / (n_images - 1)
    ratio = np.empty(n_voxels)
    for voxels in blocks(n_voxels, 16 * n_trials):
        values = x[order, voxels].astype(np.float64)
        values -= values.mean(axis=0)
        means = np.add.reduceat(values, starts, axis=0) / count[:, None]
        between = (count[:, None] * means**2).sum(axis=0) / (n_images - 1)
        values -= np.repeat(means, count, axis=0)
        noise = (values**2).sum(axis=0) / (n_trials - n_images)
        signal = np.maximum(between - noise, 0) / effective
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio[voxels] = np.sqrt(signal / noise)
    return ratio


def noise_ceiling(ncsnr: np.ndarray, n_averaged: np.ndarray | int) -> np.ndarray:
    """Percent of the variance of responses averaged over repeats that signal can explain.

    100 ncsnr² / (ncsnr² + m), m = mean of 1/n over the samples (NSD Data Manual).

    Parameters
    ----------
    ncsnr : (n_voxels,)
    n_averaged : trials averaged in every sample, or one number
    """
    share_of_noise = np.mean(1 / np.asarray(n_averaged, dtype=np.float64))
    with np.errstate(invalid="ignore"):
        percent = 100 * ncsnr**2 / (ncsnr**2 + share_of_noise)
    return np.where(np.isinf(ncsnr), 100.0, percent)
