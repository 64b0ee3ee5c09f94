"""Intervals, permutation p values and Holm's correction against closed forms and enumeration."""

from itertools import product

import numpy as np
import pytest

from afterimage.metrics import statistics


def test_bootstrap_interval_is_the_normal_one_for_many_images():
    values = np.random.default_rng(0).normal(3.0, 2.0, size=2000)
    mean, low, high = statistics.mean_interval(values, n_bootstrap=4000, seed=1)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert mean == pytest.approx(values.mean())
    assert low == pytest.approx(mean - half, abs=0.1 * half)
    assert high == pytest.approx(mean + half, abs=0.1 * half)


def test_bootstrap_means_are_means_of_drawn_images():
    values = np.array([1.0, 10.0, 100.0])
    counts = statistics.bootstrap_counts(3, 50, seed=4)
    assert (counts.sum(axis=1) == 3).all()
    assert len(np.unique(counts, axis=0)) > 5
    assert np.allclose(statistics.bootstrap_means(values, 50, seed=4), counts @ values / 3)


def test_bootstrap_in_several_parts_has_the_right_spread(monkeypatch):
    monkeypatch.setattr(statistics, "MAX_COUNTS", 100 * 30)
    values = np.random.default_rng(0).normal(size=30)
    means = statistics.bootstrap_means(values, 5000, seed=0)
    assert len(means) == 5000
    assert len(np.unique(means)) > 4900
    assert means.std() == pytest.approx(values.std() / np.sqrt(30), rel=0.05)


def test_interval_covers_the_true_mean_in_95_of_100_experiments():
    generator = np.random.default_rng(0)
    covered = 0
    for experiment in range(300):
        _, low, high = statistics.mean_interval(generator.normal(size=100), 400, seed=experiment)
        covered += low <= 0 <= high
    assert 0.90 <= covered / 300 <= 0.985


def test_equal_values_have_an_interval_of_no_width_and_one_image_too():
    assert statistics.mean_interval(np.full(20, 0.3), 100, seed=0) == pytest.approx((0.3,) * 3)
    assert statistics.mean_interval(np.array([0.7]), 100, seed=0) == pytest.approx((0.7,) * 3)


def test_ratio_interval_resamples_both_sums_together():
    below = np.random.default_rng(0).uniform(1, 2, size=50)
    value, low, high = statistics.ratio_interval(0.5 * below, below, 500, seed=0)
    assert (value, low, high) == pytest.approx((0.5, 0.5, 0.5))


def test_ratio_over_nothing_is_undefined_and_says_nothing_else():
    value, low, high = statistics.ratio_interval(np.zeros(5), np.zeros(5), 50, seed=0)
    assert np.isnan([value, low, high]).all()


def test_permutation_p_equals_the_enumeration_of_all_signs():
    differences = np.array([0.9, 0.4, -0.2, 1.3, 0.5, 0.8, -0.1, 0.6])
    sums = np.array([np.dot(signs, differences) for signs in product((-1, 1), repeat=8)])
    exact = np.mean(np.abs(sums) >= abs(differences.sum()) - 1e-12)
    assert statistics.permutation_p(differences, 40_000, seed=0) == pytest.approx(exact, abs=0.003)


def test_permutation_p_of_no_difference_is_one_and_never_zero():
    assert statistics.permutation_p(np.zeros(10), 99, seed=0) == 1.0
    assert statistics.permutation_p(np.ones(40), 99, seed=0) == pytest.approx(0.01)


def test_permutation_p_is_uniform_without_an_effect():
    generator = np.random.default_rng(3)
    p = [statistics.permutation_p(generator.normal(size=25), 199, seed=k) for k in range(300)]
    assert np.mean(np.array(p) <= 0.05) < 0.09
    assert 0.43 < np.mean(p) < 0.57


def test_many_differences_at_once_have_the_p_of_each(monkeypatch):
    monkeypatch.setattr(statistics, "SIGNS", 64)
    differences = np.random.default_rng(0).normal(0.2, 1, size=(21, 5))
    together = statistics.permutation_ps(differences, 500, seed=0)
    alone = [statistics.permutation_p(column, 500, seed=0) for column in differences.T]
    assert together.tolist() == alone
    exact = np.array(list(product((-1, 1), repeat=8))) @ differences[:8]
    exact = (np.abs(exact) >= np.abs(differences[:8].sum(axis=0)) - 1e-12).mean(axis=0)
    found = statistics.permutation_ps(differences[:8], 40_000, seed=0)
    assert found == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize("n_tests", [1, 154, 616])
def test_permutations_leave_room_for_holm(n_tests):
    floor = 1 / (statistics.enough_permutations(n_tests) + 1)
    assert n_tests * floor <= 0.05 / 20 * (1 + 1e-9)


def test_holm_on_a_worked_example():
    # 0.005 x 4, 0.01 x 3, 0.03 x 2, 0.04 x 1 raised to 0.06
    adjusted = statistics.holm([0.01, 0.04, 0.03, 0.005])
    assert adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_unknown_p_values_out_and_stops_at_one():
    adjusted = statistics.holm([0.6, float("nan"), 0.7])
    assert adjusted[[0, 2]] == pytest.approx([1.0, 1.0])
    assert np.isnan(adjusted[1])
    assert len(statistics.holm([])) == 0
