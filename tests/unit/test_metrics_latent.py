"""Latent scores in closed form, and what a constant, a perfect and a shuffled decoder score."""

import numpy as np
import pytest

from afterimage.errors import InputError
from afterimage.metrics.latent import latent_scores, latent_two_way, squared_error
from afterimage.metrics.latent_controls import collapse_scores, novelty_scores


def latents(seed: int, n: int = 40, shape: tuple[int, ...] = (4, 3, 3)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, *shape)).astype(np.float32)


def ids(n: int) -> np.ndarray:
    return np.array([f"image{i}" for i in range(n)])


def test_image_scores_in_closed_form():
    true = np.array([[[[0.0, 2.0]]], [[[4.0, 6.0]]]])
    predicted = np.array([[[[1.0, 2.0]]], [[[4.0, 3.0]]]])
    scores = latent_scores(predicted, true, np.array([[[1.0, 1.0]]]), "image", ids(2))
    assert scores["mse"] == pytest.approx([0.5, 4.5])
    assert scores["mse_mean"] == pytest.approx([1.0, 17.0])
    # The set's own mean is (2, 4): each image is (2, 2) away from it.
    assert scores["total"] == pytest.approx([4.0, 4.0])
    assert set(scores) == {"mse", "mse_mean", "total", "two_way"}


def test_text_scores_leave_the_start_token_out_except_where_they_say_so():
    true = latents(0, n=6, shape=(15, 8))
    true[:, 0] = 7.0
    predicted = true + 1.0
    predicted[:, 0] = 7.0
    scores = latent_scores(predicted, true, true.mean(axis=0), "text", ids(6))
    assert scores["mse"] == pytest.approx(np.ones(6), rel=1e-5)
    assert scores["mse_14"] == pytest.approx(scores["mse"])
    assert scores["mse_15"] == pytest.approx(np.full(6, 14 / 15), rel=1e-5)
    assert scores["mse_mean"] == pytest.approx(scores["total"], rel=1e-5)


def test_mse_is_exact_over_more_rows_than_one_block():
    one, other = latents(0, n=2500, shape=(3,)), latents(1, n=2500, shape=(3,))
    expected = ((one.astype(float) - other) ** 2).mean(axis=1)
    assert squared_error(one, other) == pytest.approx(expected)


def test_two_way_against_a_loop_over_pairs():
    true, predicted = latents(0, n=12), 0.2 * latents(0, n=12) + latents(1, n=12)
    expected = []
    for i in range(12):
        r = [np.corrcoef(predicted[i].ravel(), true[j].ravel())[0, 1] for j in range(12)]
        expected.append(sum(r[j] < r[i] for j in range(12) if j != i) / 11)
    assert latent_two_way(predicted, true) == pytest.approx(expected)


def test_perfect_mean_and_shuffled_predictions():
    true, train = latents(0, n=200), latents(1, n=500)
    mean = train.mean(axis=0)
    perfect = latent_scores(true, true, mean, "image", ids(200))
    assert (perfect["mse"] == 0).all()
    assert (perfect["two_way"] == 1).all()
    constant = latent_scores(np.broadcast_to(mean, true.shape), true, mean, "image", ids(200))
    assert constant["two_way"].mean() == pytest.approx(0.5)
    assert constant["mse"] == pytest.approx(constant["mse_mean"])
    shuffled = latent_scores(np.roll(true, 1, axis=0), true, mean, "image", ids(200))
    assert shuffled["two_way"].mean() == pytest.approx(0.5, abs=0.05)


def test_order_of_images_does_not_matter():
    true, predicted = latents(0), latents(0) * 0.3 + latents(1)
    order = np.random.default_rng(2).permutation(40)
    scores = latent_scores(predicted, true, true[0], "image", ids(40))
    mixed = latent_scores(predicted[order], true[order], true[0], "image", ids(40)[order])
    assert mixed["mse"] == pytest.approx(scores["mse"][order])
    assert mixed["two_way"] == pytest.approx(scores["two_way"][order])


def test_one_image_has_an_error_and_no_identification():
    scores = latent_scores(latents(0, n=1), latents(1, n=1), latents(2, n=1)[0], "image", ids(1))
    assert np.isfinite(scores["mse"]).all()
    assert np.isnan(scores["two_way"]).all()
    assert collapse_scores(latents(0, n=1), latents(1, n=1), "image") == {}


def test_nan_and_wrong_shapes_are_refused_by_name():
    predicted = latents(0)
    predicted[7, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match="image7"):
        latent_scores(predicted, latents(1), latents(2)[0], "image", ids(40))
    with pytest.raises(InputError, match=r"4, 3, 3.*4, 3, 2"):
        latent_scores(latents(0)[..., :2], latents(1), latents(2)[0], "image", ids(40))


def test_collapsed_predictions_have_fewer_dimensions_and_less_variance():
    true = latents(0, n=300, shape=(15, 4))
    direction = latents(1, n=1, shape=(15, 4))
    one_dimension = 0.1 * np.random.default_rng(2).normal(size=(300, 1, 1)) * direction
    scores = collapse_scores(one_dimension, true, "text")
    assert scores["participation_ratio"] == pytest.approx(1)
    assert scores["participation_ratio_true"] > 30
    assert scores["variance_ratio"] < 0.05
    assert abs(scores["r"]) < 0.05


def test_novelty_scores_leave_the_start_token_out():
    true, train = latents(0, n=5, shape=(15, 4)), latents(1, n=50, shape=(15, 4))
    scores = novelty_scores(true, true, train, "text")
    assert (scores["novelty_identification"] == 1).all()
    loud = true.copy()
    loud[:, 0] = 1000 * latents(3, n=5, shape=(4,))
    again = novelty_scores(loud, true, train, "text")
    assert again["novelty_two_way"] == pytest.approx(scores["novelty_two_way"])
