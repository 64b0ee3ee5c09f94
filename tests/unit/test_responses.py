"""Normalising, dropping, averaging and noise ceilings, against closed forms and sklearn."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from afterimage.errors import InputError
from afterimage.responses import (
    METHODS,
    Normalisation,
    RepeatAverage,
    fill_not_finite,
    mean_and_std,
    noise_ceiling,
    normalisation,
    normalise_by_own_scalar,
    signal_to_noise,
)


@pytest.fixture(autouse=True)
def several_blocks(monkeypatch):
    """Small blocks, so that every loop over blocks runs more than once."""
    monkeypatch.setattr(normalisation, "BLOCK_BYTES", 2048)


def betas(n: int = 60, v: int = 7, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, v)) * np.arange(1, v + 1) + 100).astype(np.float32)


def fit(x, method="voxel", session=None, most=0.5):
    session = np.ones(len(x), int) if session is None else session
    return Normalisation.fit(x, session, method, most, "demo subj01 lower area")


def test_mean_and_std_against_float64_numpy():
    x = betas()
    mean, std, bad = mean_and_std(x)
    np.testing.assert_allclose(mean, x.astype(np.float64).mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(std, x.astype(np.float64).std(axis=0), rtol=1e-12)
    assert not bad.any()


def test_sums_are_float64():
    """One spread of 1 on an offset of 10,000 is lost in float32 sums."""
    x = (1e4 + np.tile([[-1.0], [1.0]], (5000, 1))).astype(np.float32)
    mean, std, _ = mean_and_std(x)
    assert mean[0] == 1e4
    assert std[0] == 1.0


def test_voxel_normalisation_is_sklearns():
    train, test = betas(), betas(20, seed=1)
    expected = StandardScaler().fit(train.astype(np.float64))
    normalisation = fit(train)
    for x in (train, test):
        want = expected.transform(x.astype(np.float64))
        np.testing.assert_allclose(normalisation.apply(x.copy(), np.ones(len(x))), want, atol=1e-5)


def test_session_normalisation_is_sklearns_session_by_session():
    train, session = betas(), np.tile([3, 1, 2], 20)
    train[session == 2] += 50
    normalisation = fit(train, "voxel_session", session)
    assert normalisation.sessions.tolist() == [1, 2, 3]
    test, of_test = betas(9, seed=1), np.array([1, 1, 2, 3, 3, 2, 1, 2, 3])
    got = normalisation.apply(test.copy(), of_test)
    for number in (1, 2, 3):
        scaler = StandardScaler().fit(train[session == number].astype(np.float64))
        rows = of_test == number
        np.testing.assert_allclose(got[rows], scaler.transform(test[rows]), atol=1e-4)


def test_session_without_training_trials():
    normalisation = fit(betas(), "voxel_session", np.tile([1, 2], 30))
    with pytest.raises(InputError, match="session 5: expected training trials"):
        normalisation.apply(betas(2), np.array([1, 5]))


def test_scalar_is_one_mean_and_one_std_of_the_whole_matrix():
    x = betas()
    wide = x.astype(np.float64)
    got = fit(x, "scalar").apply(x.copy(), np.ones(len(x)))
    np.testing.assert_allclose(got, (wide - wide.mean()) / wide.std(), atol=1e-5)
    own = normalise_by_own_scalar(x)
    np.testing.assert_allclose(own, (wide - wide.mean()) / wide.std(), atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_bad_voxels_are_dropped_and_said(method, capsys):
    x = betas()
    x[:, 2] = 0.1
    x[3, 4] = np.nan
    x[5, 6] = -np.inf
    normalisation = fit(x, method)
    assert normalisation.kept.tolist() == [True, True, False, True, False, True, False]
    out = capsys.readouterr().out
    assert "demo subj01 lower area: dropped 3 of 7 voxels (42.9%), first voxel 2," in out
    clean = betas()[:, [0, 1, 3, 5]]
    got = normalisation.apply(x.copy(), np.ones(len(x)))
    np.testing.assert_allclose(got, fit(clean, method).apply(clean, np.ones(len(x))), atol=1e-6)


def test_too_many_bad_voxels_is_an_error_that_names_them():
    x = betas()
    x[0, 5] = np.nan
    with pytest.raises(InputError, match=r"demo subj01 lower area: .*10.0%.*first voxel 5") as said:
        fit(x, most=0.1)
    assert "max_bad_voxels" in str(said.value)
    assert "\n" not in str(said.value)
    fit(x, most=0.2)


def test_too_many_bad_voxels_of_one_session_are_said_to_be_its():
    x = np.random.default_rng(0).normal(size=(30, 10)).astype(np.float32)
    session = np.repeat([4, 5, 6], 10)
    x[session == 5, 2:8] = np.nan
    x[0, 9] = np.nan
    with pytest.raises(InputError, match=r"7 of 10 voxels .*, most of them \(6\) in session 5"):
        Normalisation.fit(x, session, "voxel", 0.5, "demo")


def test_nothing_but_bad_voxels_is_an_error_at_any_share():
    with pytest.raises(InputError, match="7 of 7"):
        fit(np.ones((5, 7), np.float32), most=1.0)


def test_a_voxel_constant_in_one_session_is_bad_for_sessions_only():
    x, session = betas(), np.tile([1, 2], 30)
    x[session == 2, 3] = 5
    assert not fit(x, "voxel_session", session).kept[3]
    assert fit(x, "voxel", session).kept.all()


def test_unknown_method_and_no_trials():
    with pytest.raises(InputError, match="voxel_session"):
        fit(betas(), "voxels")
    with pytest.raises(InputError, match=r"shape \(0, 7\)"):
        fit(betas(0))


@pytest.mark.parametrize("method", METHODS)
def test_round_trip_through_arrays(method):
    train, session = betas(), np.tile([1, 2], 30)
    train[:, 1] = 0
    first = fit(train, method, session)
    second = Normalisation.from_arrays(method, first.arrays())
    x, of_x = betas(10, seed=2), np.tile([1, 2], 5)
    np.testing.assert_allclose(first.apply(x.copy(), of_x), second.apply(x.copy(), of_x), atol=2e-5)


def test_selecting_voxels_keeps_their_statistics():
    x = betas()
    x[:, 0] = 1
    normalisation = fit(x)
    expected = normalisation.apply(x.copy(), np.ones(60))[:, [1, 3]]
    fewer = normalisation.select(np.array([False, True, False, True, False, False]))
    assert np.flatnonzero(fewer.kept).tolist() == [2, 4]
    np.testing.assert_array_equal(fewer.apply(x.copy(), np.ones(60)), expected)


def test_repeat_average_is_the_mean_by_id_however_it_is_fed():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 4)).astype(np.float32)
    ids = rng.choice(["9", "10", "dog_01s"], 30)
    average = RepeatAverage(ids, 4)
    for start in (20, 0, 10):
        average.add(x[start : start + 10], ids[start : start + 10])
    assert average.image_id.tolist() == ["10", "9", "dog_01s"]
    for row, image in enumerate(average.image_id):
        assert average.count[row] == (ids == image).sum()
        np.testing.assert_allclose(average.mean()[row], x[ids == image].mean(axis=0), atol=1e-6)


def test_values_not_finite_in_held_out_data_become_the_training_mean(capsys):
    x = np.ones((10, 4), np.float32)
    x[2, 3] = np.nan
    fill_not_finite(x, 0.05, "demo test")
    assert x[2, 3] == 0
    assert x.sum() == 39
    assert "demo test: 1 values in 1 voxels, first voxel 3" in capsys.readouterr().out
    x[:, 1] = np.inf
    with pytest.raises(InputError, match="first voxel 1"):
        fill_not_finite(x, 0.05, "demo test")


def test_signal_to_noise_in_closed_form():
    """Four images at -3, -1, 1, 3, each shown twice at its value plus and minus 1.

    Mean squares: within 2; between 2 * 20 / 3; so the signal's variance is (40/3 - 2) / 2 = 17/3
    and the squared ratio 17/6.
    """
    values = np.repeat([-3.0, -1, 1, 3], 2) + np.tile([-1.0, 1], 4)
    ids = np.repeat(list("dacb"), 2)
    x = np.stack([values, 10 * values + 500], axis=1).astype(np.float32)
    shuffle = np.random.default_rng(0).permutation(8)
    ratio = signal_to_noise(x[shuffle], ids[shuffle])
    np.testing.assert_allclose(ratio, np.sqrt(17 / 6))
    np.testing.assert_allclose(noise_ceiling(ratio, 1), 100 * 17 / 23)
    np.testing.assert_allclose(noise_ceiling(ratio, 3), 100 * (17 / 6) / (17 / 6 + 1 / 3))


def test_signal_to_noise_is_unbiased_with_unequal_repeats():
    """Over 300 voxels of the same truth, the mean squared ratio is the true one."""
    rng = np.random.default_rng(0)
    ids = np.repeat(np.arange(900), 1 + np.arange(900) % 3)
    for truth in (0.5, 1.0):
        x = rng.normal(size=(900, 300))[ids] * truth + rng.normal(size=(len(ids), 300))
        ratio = signal_to_noise(x.astype(np.float32), ids.astype(str))
        assert (ratio**2).mean() == pytest.approx(truth**2, rel=0.04)
    no_signal = signal_to_noise(rng.normal(size=(len(ids), 300)).astype(np.float32), ids)
    assert 0.3 < (no_signal == 0).mean() < 0.7
    assert no_signal.max() < 0.5


def test_signal_to_noise_of_pure_repeats_and_without_repeats():
    x = np.repeat(betas(5), 2, axis=0)
    ratio = signal_to_noise(x, np.repeat(np.arange(5), 2).astype(str))
    assert np.isinf(ratio).all()
    np.testing.assert_array_equal(noise_ceiling(ratio, 1), 100)
    none = signal_to_noise(betas(5), np.arange(5).astype(str))
    assert np.isnan(none).all()
    assert np.isnan(noise_ceiling(none, 3)).all()


def test_noise_ceiling_is_the_manuals_formula():
    """A, B, C images averaged over 3, 2 and 1 trials: (A/3 + B/2 + C) / (A + B + C)."""
    n_averaged = np.repeat([3, 2, 1], [839, 110, 33])
    share = (839 / 3 + 110 / 2 + 33) / 982
    got = noise_ceiling(np.array([0.3608]), n_averaged)
    np.testing.assert_allclose(got, 100 * 0.3608**2 / (0.3608**2 + share))
    assert noise_ceiling(np.array([0.3608]), 3)[0] == pytest.approx(28.1, abs=0.05)
