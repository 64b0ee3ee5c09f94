"""Figures of a whole set under resampled images, against the same images copied out."""

import numpy as np
import pytest

from afterimage.metrics import controls, set_draws, statistics


def made(n: int = 30, shape: tuple[int, ...] = (4, 3, 5)) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and targets that share a part, far from zero."""
    true, noise = np.random.default_rng(0).normal(size=(2, n, *shape)) + 20
    return 0.4 * true + 0.3 * noise, true


def copied(rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.repeat(rows, counts.astype(int), axis=0)


def slow(figure, counts: np.ndarray, *arrays: np.ndarray) -> list[float]:
    return [figure(*(copied(rows, own) for rows in arrays)) for own in counts]


COUNTS = statistics.bootstrap_counts(30, 100, 5)


def test_r_variance_ratio_and_ceiling_are_those_of_the_copied_images():
    predicted, true = made()
    expected = slow(controls.pooled_correlation, COUNTS, predicted, true)
    assert set_draws.correlations(predicted, true, COUNTS) == pytest.approx(expected, rel=1e-9)
    expected = slow(controls.variance_ratio, COUNTS, predicted, true)
    assert set_draws.variance_ratios(predicted, true, COUNTS) == pytest.approx(expected, rel=1e-9)
    expected = slow(lambda a, b: controls.noise_ceiling(a, b, 3), COUNTS, predicted, true)
    found = set_draws.noise_ceilings(predicted, true, 3, COUNTS)
    assert found == pytest.approx(expected, rel=1e-9)


def participation_without_copies(rows: np.ndarray, counts: np.ndarray) -> float:
    """By a loop over pairs of drawn images, those of an image and its copy left out."""
    which = np.repeat(np.arange(len(rows)), counts.astype(int))
    flat = rows.reshape(len(rows), -1)
    drawn = (flat - flat.mean(axis=0))[which]
    n = len(which)
    squares = 0.0
    for i in range(n):
        for j in range(n):
            if i == j:
                squares += (drawn[i] @ drawn[i]) ** 2
            elif which[i] != which[j]:
                squares += n / (n - 1) * (drawn[i] @ drawn[j]) ** 2
    return (drawn**2).sum() ** 2 / squares


def test_participation_ratio_is_that_of_the_copied_images_without_pairs_of_copies():
    for rows in made():
        expected = [participation_without_copies(rows, own) for own in COUNTS]
        found = set_draws.participation_ratios(rows, COUNTS)
        assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("dimensions", [3, 30, 1000])
def test_interval_of_the_participation_ratio_holds_its_value_and_has_the_right_width(dimensions):
    """Against new images of the same kind; copies and all, draws fall short by up to a half."""
    scale = np.linspace(1, 2, dimensions)
    generator = np.random.default_rng(3)
    fresh = [generator.normal(size=(60, dimensions)) * scale for _ in range(200)]
    true = np.array([controls.participation_ratio(rows) for rows in fresh])
    counts = statistics.bootstrap_counts(60, 500, 0)
    held, widths = 0, []
    for rows in fresh[:40]:
        low, high = statistics.interval(set_draws.participation_ratios(rows, counts))
        held += low <= true.mean() <= high
        widths.append(high - low)
    assert held >= 32
    assert 0.6 < np.mean(widths) / (2 * 1.96 * true.std()) < 2.5
    plain = np.array(slow(controls.participation_ratio, counts[:40], fresh[0]))
    ours = set_draws.participation_ratios(fresh[0], counts[:40])
    assert plain.mean() < ours.mean()
    if dimensions == 1000:
        assert plain.mean() < 0.6 * true.mean()
        assert ours.mean() == pytest.approx(true.mean(), rel=0.05)


def test_draws_in_which_halves_do_not_agree_count_as_no_ceiling():
    one, other = np.random.default_rng(0).normal(size=(2, 12, 10))
    counts = statistics.bootstrap_counts(12, 200, 0)
    r = set_draws.correlations(one, other, counts)
    found = set_draws.noise_ceilings(one, other, 2, counts)
    assert 0 < (r <= 0).sum() < 200
    assert (found[r <= 0] == 0).all()
    assert found[r > 0] == pytest.approx(np.sqrt(2 * r[r > 0] / (1 + r[r > 0])))


def test_constant_predictions():
    _, true = made()
    constant = np.broadcast_to(true.mean(axis=0), true.shape)
    draws = set_draws.set_draws(constant, true, "image", None, 100, 0)
    assert np.isnan(draws["r"]).all()
    assert draws["variance_ratio"] == pytest.approx(np.zeros(100))
    assert (draws["participation_ratio"] == 0).all()
    assert set(draws) == {"r", "variance_ratio", "participation_ratio", "participation_ratio_true"}


def test_draws_leave_the_start_token_out_and_one_image_has_none():
    predicted, true = made()
    draws = set_draws.set_draws(predicted, true, "text", None, 100, 5)
    expected = set_draws.correlations(predicted[:, 1:], true[:, 1:], COUNTS)
    assert (draws["r"] == expected).all()
    assert set_draws.set_draws(predicted[:1], true[:1], "text", None, 100, 5) == {}
