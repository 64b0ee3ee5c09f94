"""Ridge against scikit-learn in float64, and its cross-validation over images."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from afterimage.decoders import linear, make
from afterimage.decoders.interface import Execution, Samples, Shapes

ALPHAS = linear.Settings().alphas()


def samples(n_images: int, n_voxels: int, seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    image = rng.permutation(np.repeat(np.arange(n_images), rng.integers(1, 4, n_images)))
    y = rng.normal(size=(n_images, 5)) * [1, 1, 3, 0.1, 1] + np.arange(5)
    weights = rng.normal(size=(5, n_voxels)) * [[1], [0.3], [0.1], [1], [0]]
    x = 2.0 + y[image] @ weights + rng.normal(size=(len(image), n_voxels))
    return Samples(x, image, y)


def by_scikit_learn(train: Samples, folds: np.ndarray, intercept: bool):
    """Choose each target's penalty and refit, the slow way."""
    x, y = train.x, train.y[train.image]
    errors = np.zeros((len(ALPHAS), y.shape[1]))
    for fold in np.unique(folds):
        kept, held = folds != fold, folds == fold
        for index, alpha in enumerate(ALPHAS):
            ridge = Ridge(alpha, fit_intercept=intercept, solver="cholesky").fit(x[kept], y[kept])
            errors[index] += ((ridge.predict(x[held]) - y[held]) ** 2).mean(0)
    alphas = ALPHAS[errors.argmin(0)]
    ridge = Ridge(alphas, fit_intercept=intercept, solver="cholesky").fit(x, y)
    return alphas, ridge.coef_.T, ridge.intercept_


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("n_images", "n_voxels"), [(60, 12), (25, 90)])
def test_equals_scikit_learn(n_images, n_voxels, intercept):
    train = samples(n_images, n_voxels)
    decoder = make({"kind": "linear", "intercept": intercept, "seed": 4}, Shapes(n_voxels, (5,)))
    decoder.fit(train, train, Execution())
    folds = linear.image_folds(train.image, 5, 4)
    alphas, coefficients, offset = by_scikit_learn(train, folds, intercept)
    np.testing.assert_allclose(decoder.alphas, alphas, rtol=1e-6)
    np.testing.assert_allclose(decoder.coefficients, coefficients, atol=1e-8)
    np.testing.assert_allclose(decoder.intercept, offset, atol=1e-7)
    assert len(set(alphas)) > 1, "the targets should want different penalties"


@pytest.fixture(params=["numpy", "torch"])
def backend(request):
    from himalaya.backend import get_backend, set_backend

    before = get_backend().name
    yield set_backend(request.param)
    set_backend(before)


@pytest.mark.parametrize("batch", [2, 100])
def test_the_two_forms_and_himalaya_agree_in_any_batches(monkeypatch, batch, backend):
    from himalaya.ridge import solve_ridge_cv_svd
    from sklearn.model_selection import PredefinedSplit

    monkeypatch.setattr(linear, "TARGETS_PER_BATCH", batch)
    train = samples(40, 30)
    x, y = train.x - train.x.mean(0), train.y[train.image] - train.y[train.image].mean(0)
    folds = linear.image_folds(train.image, 4, 0)
    there = backend.asarray(x)
    ours = linear.covariance_ridge(backend, there, y, folds, ALPHAS, True)
    kernel = linear.kernel_ridge(backend, there, y, folds, ALPHAS, True)
    alphas, coefficients, _, _ = solve_ridge_cv_svd(
        there, backend.asarray(y), alphas=ALPHAS, cv=PredefinedSplit(folds), fit_intercept=True
    )
    for found in (ours, kernel):
        np.testing.assert_allclose(found[0], backend.to_numpy(alphas), rtol=1e-6)
        np.testing.assert_allclose(found[1], backend.to_numpy(coefficients), atol=1e-8)


def test_float32_is_close_to_float64():
    train = samples(200, 50)
    single = Samples(train.x.astype(np.float32), train.image, train.y.astype(np.float32))
    predicted = []
    for part in (train, single):
        decoder = make({"kind": "linear"}, Shapes(50, (5,)))
        decoder.fit(part, part, Execution())
        predicted.append(decoder.predict(part.x, Execution()))
    assert predicted[1].dtype == np.float32
    np.testing.assert_allclose(predicted[1], predicted[0], atol=2e-3)


def test_trials_of_an_image_share_a_fold():
    image = np.random.default_rng(0).integers(0, 30, 200)
    folds = linear.image_folds(image, 5, 0)
    assert set(folds) == set(range(5))
    assert all(len(set(folds[image == one])) == 1 for one in range(30))
    counts = [len(set(image[folds == fold])) for fold in range(5)]
    assert max(counts) - min(counts) <= 1
    assert (folds != linear.image_folds(image, 5, 1)).any()


def test_folds_over_trials_would_choose_too_small_a_penalty():
    """Noise that belongs to the image, not to the trial, is learned if trials are split."""
    rng = np.random.default_rng(0)
    image = np.repeat(np.arange(30), 6)
    x = rng.normal(size=(30, 80))[image] + 0.1 * rng.normal(size=(180, 80))
    train = Samples(x, image, rng.normal(size=(30, 5)))
    decoder = make({"kind": "linear"}, Shapes(80, (5,)))
    decoder.fit(train, train, Execution())
    of_trials = linear.covariance_ridge(
        _numpy(), x - x.mean(0), train.y[image], np.arange(180) % 5, ALPHAS, True
    )
    assert np.median(decoder.alphas) > 100 * np.median(of_trials[0])


def _numpy():
    from himalaya.backend import set_backend

    return set_backend("numpy")


def test_the_grid():
    settings = linear.Settings(alpha_exponents=(-1.0, 2.0), alphas_per_decade=2)
    np.testing.assert_allclose(settings.alphas(), 10 ** np.arange(-1, 2.1, 0.5))
