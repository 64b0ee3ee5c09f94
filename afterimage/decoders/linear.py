"""Ridge regression with an intercept and, for every target, its own penalty.

The penalties are chosen by cross-validation over images: all trials of an image are held out
together, or the same picture would be on both sides. With fewer samples than voxels himalaya's
kernel solver does the work. With more, himalaya would take singular value decompositions of the
whole response matrix, which at 25,000 by 10,000 costs many times the eigenvectors of its voxel
covariance: `covariance_ridge` takes those, with himalaya's arithmetic on any of its backends.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from afterimage.decoders import interface
from afterimage.decoders.interface import Execution, Samples, mean_squared_error
from afterimage.jobs import progress

TARGETS_PER_BATCH = 2048


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Hyper-parameters of the ridge.

    Attributes
    ----------
    alpha_exponents : lowest and highest power of ten of the penalties tried
    alphas_per_decade : how many of them in a decade
    folds : of images, in cross-validation
    intercept : False is the published baseline, whose predictions have no mean
    seed : of the folds
    """

    alpha_exponents: tuple = (0.0, 7.0)
    alphas_per_decade: int = 2
    folds: int = 5
    intercept: bool = True
    seed: int = 0

    limits: ClassVar[dict] = {
        "alpha_exponents": {"length": 2, "ascending": True},
        "alphas_per_decade": {"least": 1},
        "folds": {"least": 2},
        "seed": {"least": 0},
    }

    def alphas(self) -> np.ndarray:
        """All penalties, ascending."""
        low, high = self.alpha_exponents
        return np.logspace(low, high, round((high - low) * self.alphas_per_decade) + 1)


class Decoder(interface.Decoder):
    """Prediction = responses @ coefficients + intercept."""

    settings_type = Settings
    settings: Settings

    def fit(
        self, train: Samples, validation: Samples, execution: Execution
    ) -> list[dict[str, float]]:
        """Fit in one step; the history has one row."""
        import time

        from himalaya.backend import get_backend, set_backend

        begin = time.monotonic()
        before = get_backend().name
        backend = set_backend("torch_cuda" if execution.device == "cuda" else "numpy")
        try:
            self._solve(backend, train)
        finally:
            set_backend(before)
        row = {"epoch": 1, "seconds": time.monotonic() - begin}
        for name, samples in (("train", train), ("validation", validation)):
            row[name] = mean_squared_error(self.predict(samples.x, execution), samples)
        return [row]

    def _solve(self, backend: Any, train: Samples) -> None:
        x, y = train.x, train.y[train.image]
        x_mean = x.mean(axis=0, dtype=np.float64).astype(x.dtype) * self.settings.intercept
        y_mean = y.mean(axis=0, dtype=np.float64).astype(y.dtype) * self.settings.intercept
        folds = image_folds(train.image, self.settings.folds, self.settings.seed)
        x, y = backend.asarray(x - x_mean), y - y_mean
        solve = covariance_ridge if len(x) >= x.shape[1] else kernel_ridge
        alphas, coefficients = solve(
            backend, x, y, folds, self.settings.alphas(), self.settings.intercept
        )
        self.coefficients = coefficients
        self.intercept = y_mean - x_mean @ coefficients
        self.alphas = alphas

    def predict(self, x: np.ndarray, execution: Execution, batch_size: int = 0) -> np.ndarray:
        """Predict on the CPU: one product."""
        return x @ self.coefficients + self.intercept

    def tensors(self) -> dict[str, np.ndarray]:
        """Coefficients (n_voxels, n_outputs), intercept and alphas (n_outputs,)."""
        return {
            "coefficients": self.coefficients,
            "intercept": self.intercept,
            "alphas": self.alphas,
        }

    def restore(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Take over coefficients, intercept and alphas."""
        self.coefficients = tensors["coefficients"]
        self.intercept = tensors["intercept"]
        self.alphas = tensors["alphas"]

    def n_parameters(self) -> int:
        """Coefficients and intercept; the penalties are not part of the prediction."""
        return int(self.coefficients.size + self.intercept.size)

    def notes(self) -> dict[str, Any]:
        """The chosen penalties; a share at the grid's ends says that the grid is too narrow."""
        grid = self.settings.alphas()
        return {
            "alpha_median": float(np.median(self.alphas)),
            "alpha_share_lowest": float(np.mean(self.alphas <= grid[0] * 1.01)),
            "alpha_share_highest": float(np.mean(self.alphas >= grid[-1] * 0.99)),
        }


def image_folds(image: np.ndarray, n_folds: int, seed: int) -> np.ndarray:
    """Fold (n_samples,) of each sample; all samples of an image are in one."""
    images, of_sample = np.unique(image, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(images))
    return (order % min(n_folds, len(images)))[of_sample]


def kernel_ridge(
    backend: Any,
    x: Any,
    y: np.ndarray,
    folds: np.ndarray,
    alphas: np.ndarray,
    intercept: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Ridge through the (n_samples, n_samples) kernel, by himalaya.

    Parameters
    ----------
    x : (n_samples, n_voxels), y : (n_samples, n_targets); both centred if `intercept`
    folds : (n_samples,) fold of each sample

    Returns
    -------
    alphas (n_targets,) and coefficients (n_voxels, n_targets)
    """
    from himalaya.kernel_ridge import solve_kernel_ridge_cv_eigenvalues
    from sklearn.model_selection import PredefinedSplit

    result = solve_kernel_ridge_cv_eigenvalues(
        x @ x.T,
        backend.asarray(y, dtype=x.dtype),
        alphas=backend.asarray(alphas, dtype=x.dtype),
        cv=PredefinedSplit(folds),
        fit_intercept=intercept,
        n_targets_batch=TARGETS_PER_BATCH,
        n_targets_batch_refit=TARGETS_PER_BATCH,
        n_alphas_batch=1,
        Y_in_cpu=False,
    )
    best, dual = result[0], result[1]
    return backend.to_numpy(best), backend.to_numpy(backend.to_cpu(x).T @ dual)


def covariance_ridge(
    backend: Any,
    x: Any,
    y: np.ndarray,
    folds: np.ndarray,
    alphas: np.ndarray,
    intercept: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Ridge through the eigenvectors of the (n_voxels, n_voxels) covariance.

    Takes and gives what `kernel_ridge` does. Targets go through in batches, so that beside x and y
    only a few matrices of (n_voxels, n_voxels) are held.
    """
    penalties = [backend.asarray(alpha, dtype=x.dtype) for alpha in alphas]
    everything = x.T @ x
    errors = np.zeros((len(alphas), y.shape[1]))
    for fold in progress(np.unique(folds), "fold"):
        kept, held = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        x_kept, x_held = x[kept], x[held]
        x_mean = x_kept.mean(0) * intercept
        within = everything - x_held.T @ x_held - len(kept) * x_mean[:, None] * x_mean[None]
        spectrum, vectors = _eigen(backend, within)
        projected = (x_held - x_mean) @ vectors
        for batch in _batches(y.shape[1]):
            y_kept = backend.asarray(y[kept, batch], dtype=x.dtype)
            y_mean = y_kept.mean(0) * intercept
            truth = backend.asarray(y[held, batch], dtype=x.dtype) - y_mean
            product = vectors.T @ (x_kept.T @ (y_kept - y_mean))
            for index, alpha in enumerate(penalties):
                error = truth - projected @ (product / (spectrum + alpha)[:, None])
                errors[index, batch] += backend.to_numpy((error**2).mean(0))
    chosen = errors.argmin(axis=0)
    spectrum, vectors = _eigen(backend, everything)
    coefficients = np.empty((x.shape[1], y.shape[1]), dtype=y.dtype)
    for batch in _batches(y.shape[1]):
        product = vectors.T @ (x.T @ backend.asarray(y[:, batch], dtype=x.dtype))
        alpha = backend.asarray(alphas[chosen[batch]], dtype=x.dtype)
        shrunk = product / (spectrum[:, None] + alpha[None])
        coefficients[:, batch] = backend.to_numpy(vectors @ shrunk)
    return alphas[chosen].astype(y.dtype), coefficients


def _batches(n_targets: int) -> list[slice]:
    starts = range(0, n_targets, TARGETS_PER_BATCH)
    return [slice(start, min(start + TARGETS_PER_BATCH, n_targets)) for start in starts]


def _eigen(backend: Any, matrix: Any) -> tuple[Any, Any]:
    """Eigenvalues, none below zero for rounding, and eigenvectors of a symmetric matrix."""
    spectrum, vectors = backend.eigh(matrix)
    spectrum[spectrum < 0] = 0
    return spectrum, vectors
