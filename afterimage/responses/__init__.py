"""From betas to what the decoders see: bad voxels dropped, normalised, repeats averaged.

Every statistic comes from training trials alone. Matrices are (trials, voxels) float32 and are
changed in place, a block of rows at a time, because one area of one NSD subject fills a gigabyte;
sums are float64.
"""

from afterimage.responses.normalisation import (
    METHODS,
    SESSION_ARRAYS,
    Normalisation,
    constant_voxels,
    fill_not_finite,
    mean_and_std,
    normalise_by_own_scalar,
    own_scalar,
)
from afterimage.responses.repeats import RepeatAverage, noise_ceiling, signal_to_noise

__all__ = [
    "METHODS",
    "SESSION_ARRAYS",
    "Normalisation",
    "RepeatAverage",
    "constant_voxels",
    "fill_not_finite",
    "mean_and_std",
    "noise_ceiling",
    "normalise_by_own_scalar",
    "own_scalar",
    "signal_to_noise",
]
