"""The forward model: what each voxel of a simulated brain answers to a scene.

Early voxels see the picture through Gaussian receptive fields, laid out as in a real brain: the
left hemisphere sees the right half of the picture, the lower bank of a region its upper half, and
fields grow from V1 to V4. Higher voxels see meaning. A share of the voxels answers to nothing.

Linear brain: response = baseline + B (features - their mean) + noise, and each early field has a
wide inhibitory surround. Nonlinear brain: the early
voxels' pooled energy is raised to a power below one (compressive spatial summation: Kay et al.
2013, J Neurophysiol 110:481), and the higher voxels saturate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from afterimage.errors import InputError
from afterimage.simulation.features import (
    CHANNELS,
    GRID,
    generator,
    meaning_names,
    scene_features,
)
from afterimage.simulation.head import Head
from afterimage.simulation.scenes import COLOURS, KINDS, sample_scene

FIELD_SIZES = {"V1": 0.06, "V2": 0.085, "V3": 0.12, "V4": 0.16, "hV4": 0.16}
"""Early region -> standard deviation of its receptive fields, as a fraction of the picture."""

EXPONENTS = {"V1": 0.5, "V2": 0.35, "V3": 0.25, "V4": 0.2, "hV4": 0.2}
"""Early region -> exponent of compressive summation in the nonlinear brain."""

TASTES: dict[str, tuple[str, ...]] = {
    "PPA": ("place",),
    "VO1": tuple(f"{spot} {colour}" for spot in ("first", "second") for colour in COLOURS),
    "VO2": tuple(f"{spot} {colour}" for spot in ("first", "second") for colour in COLOURS),
    "LOC": tuple(f"{spot} {kind}" for spot in ("first", "second") for kind in KINDS),
}
"""Higher region -> beginnings of the names of the features that it answers to most."""

_SENSITIVITY = {"luminance": 2.0, "contrast": 0.5}
_TOLERANCE = 0.6
_NCSNR_SPREAD = 0.6
_SURROUND, _SURROUND_SIZE = 0.6, 3.0
_REFERENCE_SCENES = 400
_NOISE = 1.5
_BASELINE = 0.6


@dataclass(frozen=True)
class Brain:
    """A forward model of some voxels.

    Attributes
    ----------
    kind : "linear" or "nonlinear"
    weights : float32, shape (n_voxels, n_features): image features, then meaning features
    exponent : shape (n_voxels,), 1 without compression, 0 for voxels that saturate
    gain, centre, baseline : shape (n_voxels,), response = baseline + gain (shape(drive) - centre)
    noise_sd : shape (n_voxels,), standard deviation of one trial's noise, percent signal change
    region : str, shape (n_voxels,)
    xyz : int64, shape (n_voxels, 3), indices into the volume
    field : float32, shape (n_voxels, 3), receptive field: x, y, standard deviation, as fractions of
        the picture from its left and top; NaN for higher voxels
    """

    kind: str
    weights: np.ndarray
    exponent: np.ndarray
    gain: np.ndarray
    centre: np.ndarray
    baseline: np.ndarray
    noise_sd: np.ndarray
    region: np.ndarray
    xyz: np.ndarray
    field: np.ndarray

    def answers(self, features: np.ndarray) -> np.ndarray:
        """Responses without noise, percent signal change, shape (n_scenes, n_voxels)."""
        shaped = _shape(features @ self.weights.T, self.exponent)
        return (self.baseline + self.gain * (shaped - self.centre)).astype(np.float32)

    def trials(self, features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Responses with each trial's own noise, shape (n_trials, n_voxels)."""
        answers = self.answers(features)
        noise = rng.standard_normal(answers.shape, dtype=np.float32)
        return answers + noise * self.noise_sd.astype(np.float32)


def reference_features(seed: int, n_things: int | None, n: int = _REFERENCE_SCENES) -> np.ndarray:
    """Features of scenes drawn as the study's pictures are, shape (n, n_features)."""
    rng = generator(seed, "reference", n_things)
    return flat_features([sample_scene(rng, n_things) for _ in range(n)])


def flat_features(scenes: Sequence) -> np.ndarray:
    """Image and meaning features side by side, shape (n_scenes, n_features)."""
    image, meaning = scene_features(scenes)
    return np.concatenate([image.reshape(len(image), -1), meaning], axis=1)


def build_brain(
    kind: str,
    head: Head,
    reference: np.ndarray,
    ncsnr: float,
    signal_share: float,
    rng: np.random.Generator,
    silent: Sequence[str] = (),
) -> Brain:
    """Draw a brain whose signal voxels have a given median ratio of signal to noise.

    Parameters
    ----------
    kind : "linear" or "nonlinear"
    head : where the regions' voxels lie
    reference : features over which the signal's variance is measured, shape (n, n_features)
    ncsnr : median, over signal voxels, of sd(signal) / sd(noise of one trial)
    signal_share : share of the voxels that answer to anything
    silent : regions without any signal
    """
    if kind not in ("linear", "nonlinear"):
        raise InputError("simulate.brain", "linear or nonlinear", repr(kind))
    parts = [_region(kind, head, region, rng) for region in head.regions]
    weights, exponent, field = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    region = np.concatenate([[name] * len(voxels) for name, voxels in head.regions.items()])
    n_voxels = len(region)
    shaped = _shape(reference @ weights.T, exponent)
    ratio = np.exp(_NCSNR_SPREAD * rng.standard_normal(n_voxels))
    noise_sd = _NOISE * np.exp(0.25 * rng.standard_normal(n_voxels))
    has_signal = (rng.random(n_voxels) < signal_share) & ~np.isin(region, list(silent))
    if has_signal.any():
        ratio *= ncsnr / np.median(ratio[has_signal])
    return Brain(
        kind=kind,
        weights=weights,
        exponent=exponent,
        gain=has_signal * ratio * noise_sd / shaped.std(0),
        centre=shaped.mean(0),
        baseline=_BASELINE * (1 + 0.5 * rng.standard_normal(n_voxels)),
        noise_sd=noise_sd,
        region=region,
        xyz=np.concatenate(list(head.regions.values())),
        field=field,
    )


def _shape(drive: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    if (exponent == 1).all():
        return drive
    positive = np.maximum(drive, 0)
    return np.where(exponent > 0, positive**exponent, positive / (positive + 1))


def _region(
    kind: str, head: Head, region: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n_voxels = len(head.regions[region])
    n_image, n_meaning = len(CHANNELS) * GRID**2, len(meaning_names())
    weights = np.zeros((n_voxels, n_image + n_meaning), dtype=np.float32)
    if region in FIELD_SIZES:
        field = _fields(head, region, rng)
        tuning = _channel_tuning(kind, n_voxels, rng)
        pooled = _pools(field)
        if kind == "linear":
            pooled -= _SURROUND * _pools(field * [1, 1, _SURROUND_SIZE])
        weights[:, :n_image] = (tuning[:, :, None, None] * pooled[:, None]).reshape(n_voxels, -1)
        exponent = np.full(n_voxels, 1.0 if kind == "linear" else EXPONENTS[region])
    else:
        field = np.full((n_voxels, 3), np.nan, dtype=np.float32)
        weights[:, n_image:] = _meaning_tuning(kind, region, n_voxels, rng)
        exponent = np.full(n_voxels, 1.0 if kind == "linear" else 0.0)
    return weights, exponent, field


def _fields(head: Head, region: str, rng: np.random.Generator) -> np.ndarray:
    """Receptive fields that cover the opposite half of the picture evenly and smoothly."""
    voxels, side = head.regions[region], head.hemispheres(region)
    field = np.zeros((len(voxels), 3), dtype=np.float32)
    for hemisphere, direction in ((1, 1.0), (2, -1.0)):
        mine = np.flatnonzero(side == hemisphere)
        n_slabs = max(1, round(np.sqrt(len(mine) / 2)))
        by_depth = mine[np.lexsort((voxels[mine, 0], voxels[mine, 1]))]
        for slab, members in enumerate(np.array_split(by_depth, n_slabs)):
            members = members[np.argsort(voxels[members, 2], kind="stable")]
            away = (slab + rng.uniform(0.2, 0.8, len(members))) / n_slabs
            field[members, 0] = 0.5 + direction * 0.5 * away
            field[members, 1] = (np.arange(len(members)) + 0.5) / len(members)
            field[members, 2] = FIELD_SIZES[region] * (0.75 + 0.5 * away)
    return field


def _pools(field: np.ndarray) -> np.ndarray:
    """Each field's share of every cell of the picture, shape (n_voxels, GRID, GRID)."""
    cells = (np.arange(GRID) + 0.5) / GRID
    x, y, size = (column[:, None] for column in field.T)
    across = np.exp(-(((cells - x) / size) ** 2) / 2)
    down = np.exp(-(((cells - y) / size) ** 2) / 2)
    pools = down[:, :, None] * across[:, None, :]
    return pools / pools.sum((1, 2), keepdims=True)


def _channel_tuning(kind: str, n_voxels: int, rng: np.random.Generator) -> np.ndarray:
    """Weights of the image channels: mostly more light and contrast, colours either way."""
    if kind == "nonlinear":
        # Pooled energy cannot be negative, and voxels differ in what they pool.
        return rng.dirichlet(np.full(len(CHANNELS), 0.5), size=n_voxels)
    tuning = rng.standard_normal((n_voxels, len(CHANNELS)))
    tuning += [channel in ("luminance", "contrast") for channel in CHANNELS]
    return tuning * [_SENSITIVITY.get(channel, 1.0) for channel in CHANNELS]


def _meaning_tuning(kind: str, region: str, n_voxels: int, rng: np.random.Generator) -> np.ndarray:
    """Weights of the meaning features: half of them none; much alike for either thing."""
    names = meaning_names()
    tuning = rng.standard_normal((n_voxels, len(names)))
    tuning *= rng.random(tuning.shape) < 0.5
    first, second = (
        [index for index, name in enumerate(names) if name.startswith(spot)]
        for spot in ("first", "second")
    )
    own = np.sqrt(1 - _TOLERANCE**2)
    tuning[:, second] = _TOLERANCE * tuning[:, first] + own * tuning[:, second]
    tuning *= [2.0 if name.startswith(TASTES.get(region, ())) else 1.0 for name in names]
    return np.abs(tuning) if kind == "nonlinear" else tuning
