"""The best linear decoder of a simulated brain's single trials.

With responses r = answers + noise and targets t, the linear decoder of least mean square error is

    t = mean(t) + cov(t, r) cov(r, r)^-1 (r - mean(r)),   cov(r, r) = cov(answers) + cov(noise)

(Kay 1993, Fundamentals of Statistical Signal Processing, theorem 12.1). The forward model gives the
noise exactly and the answers to as many scenes as one cares to draw; so this is what a linear
decoder trained on endless single trials of those scenes would come to, on the nonlinear brain too.
It is no bound on test responses that are means of several trials: their noise is smaller, and a
linear decoder that trusts them more does better.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from afterimage.errors import InputError
from afterimage.simulation.brain import Brain
from afterimage.simulation.truth import Truth


@dataclass(frozen=True)
class LinearDecoder:
    """Weights (n_voxels, n_targets) and the means of responses and targets."""

    weights: np.ndarray
    mean_response: np.ndarray
    mean_target: np.ndarray

    def predict(self, responses: np.ndarray) -> np.ndarray:
        """Targets of responses in percent signal change, shape (n, n_targets)."""
        return (responses - self.mean_response) @ self.weights + self.mean_target


def best_linear_decoder(
    answers: np.ndarray, noise_sd: np.ndarray, targets: np.ndarray
) -> LinearDecoder:
    """The linear decoder with the least mean square error.

    Parameters
    ----------
    answers : responses without noise, shape (n_scenes, n_voxels)
    noise_sd : standard deviation of the noise, independent between voxels, shape (n_voxels,)
    targets : shape (n_scenes, n_targets)
    """
    mean_response = answers.mean(0, dtype=np.float64)
    mean_target = targets.mean(0, dtype=np.float64)
    centred = answers - mean_response
    covariance = centred.T @ centred / len(answers)
    covariance[np.diag_indices_from(covariance)] += noise_sd.astype(np.float64) ** 2
    joint = centred.T @ (targets - mean_target) / len(answers)
    return LinearDecoder(np.linalg.solve(covariance, joint), mean_response, mean_target)


def voxels_at(truth: Truth, position: np.ndarray, what: str) -> Brain:
    """The part of a true brain that lies at the given positions, in their order.

    Parameters
    ----------
    position : shape (n, 3), in the units of `truth.position`

    Raises
    ------
    InputError
        if a position holds no simulated voxel
    """
    row_at = {_key(place): row for row, place in enumerate(truth.position)}
    missing = [place for place in position if _key(place) not in row_at]
    if missing:
        raise InputError(what, "voxels of the simulated regions", f"none at {_key(missing[0])}")
    rows = np.array([row_at[_key(place)] for place in position], dtype=np.int64)
    arrays = [field.name for field in fields(Brain) if field.name != "kind"]
    return replace(truth.brain, **{name: getattr(truth.brain, name)[rows] for name in arrays})


def _key(place: np.ndarray) -> tuple[float, ...]:
    return tuple(np.round(place.astype(np.float64), 1).tolist())


def scene_population(truth: Truth, training_ids: list[str], n_scenes: int) -> list:
    """New scenes, drawn as the study's were; of concepts, only those that were trained on."""
    from afterimage.simulation.features import generator
    from afterimage.simulation.scenes import sample_scene

    rng = generator(truth.seed, "optimal")
    if truth.n_things is None:
        return [sample_scene(rng) for _ in range(n_scenes)]
    kinds = sorted({truth.scenes[name].things[0].kind for name in training_ids})
    return [
        sample_scene(rng, truth.n_things, kinds[index % len(kinds)]) for index in range(n_scenes)
    ]
