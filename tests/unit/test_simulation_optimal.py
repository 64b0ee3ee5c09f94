"""The best linear decoder, against closed forms and against decoders trained on many trials."""

from dataclasses import replace

import numpy as np
import pytest

from afterimage.errors import InputError
from afterimage.simulation.brain import build_brain, flat_features
from afterimage.simulation.head import build_head
from afterimage.simulation.optimal import best_linear_decoder, scene_population, voxels_at
from afterimage.simulation.scenes import sample_scene
from afterimage.simulation.truth import Truth, read_truth, truth_by_subject, write_truth


def make_truth(kind="linear", n_things=None, n_scenes=30) -> Truth:
    rng = np.random.default_rng(0)
    scenes = {f"{index}": sample_scene(rng, n_things) for index in range(n_scenes)}
    head = build_head({"V1": 12, "ventral": 14}, rng)
    features = flat_features(list(scenes.values()))
    brain = build_brain(kind, head, features, 0.5, 0.8, rng)
    return Truth(brain, brain.xyz * 1.8 - 7.3, scenes, 3, n_things)


def test_one_voxel_in_closed_form():
    """A target t seen as 2 t + noise: the best weight is 2 var(t) / (4 var(t) + noise)."""
    target = np.array([[-1.0], [0.0], [1.0], [2.0]])
    decoder = best_linear_decoder(2 * target + 5, np.array([0.7]), target)
    expected = 2 * target.var() / (4 * target.var() + 0.49)
    assert decoder.weights == pytest.approx(expected)
    assert decoder.predict(np.array([[6.0]])) == pytest.approx(0.5)


def test_it_is_the_gaussian_posterior_mean():
    """For Gaussian features the best linear decoder is Bayes': (P + B' N^-1 B)^-1 B' N^-1 r."""
    rng = np.random.default_rng(1)
    features = rng.standard_normal((200_000, 3))
    matrix, noise = rng.standard_normal((5, 3)), rng.uniform(0.5, 2, 5)
    decoder = best_linear_decoder(features @ matrix.T, noise, features)
    information = matrix.T / noise**2
    expected = np.linalg.solve(np.eye(3) + information @ matrix, information)
    np.testing.assert_allclose(decoder.weights.T, expected, atol=0.01)


@pytest.mark.parametrize("kind", ["linear", "nonlinear"])
def test_no_decoder_trained_on_many_trials_does_better(kind):
    truth = make_truth(kind, n_scenes=150)
    brain = truth.brain
    features = flat_features(list(truth.scenes.values()))
    targets = features[:, ::50]
    rng = np.random.default_rng(2)
    trials = np.concatenate([brain.trials(features, rng) for _ in range(60)]).astype(np.float64)
    wanted = np.tile(targets, (60, 1))
    inputs = np.column_stack([trials, np.ones(len(trials))])
    fitted = np.linalg.lstsq(inputs, wanted, rcond=None)[0]
    decoder = best_linear_decoder(brain.answers(features), brain.noise_sd, targets)
    fresh = np.concatenate([brain.trials(features, rng) for _ in range(40)]).astype(np.float64)
    truth_of_fresh = np.tile(targets, (40, 1))
    best = ((decoder.predict(fresh) - truth_of_fresh) ** 2).mean()
    trained = fresh @ fitted[:-1] + fitted[-1]
    ordinary = ((trained - truth_of_fresh) ** 2).mean()
    assert best <= ordinary * 1.001
    assert best == pytest.approx(ordinary, rel=0.02)


def test_on_means_of_trials_a_linear_decoder_surpasses_it():
    """It is the best for single trials; the more trials a mean has, the more room is above it."""
    truth = make_truth(n_scenes=150)
    brain, rng = truth.brain, np.random.default_rng(2)
    features = flat_features(list(truth.scenes.values()))
    targets = features[:, ::50]
    of_mean = ((targets - targets.mean(axis=0)) ** 2).mean()
    answers = brain.answers(features)
    gains, shares = {}, {}
    for repeats in (1, 3, 12):
        trials = [brain.trials(features, rng) for _ in range(20 * repeats)]
        means = np.mean(np.reshape(trials, (20, repeats, *answers.shape)), axis=1)
        for made_for in (1, repeats):
            decoder = best_linear_decoder(answers, brain.noise_sd / np.sqrt(made_for), targets)
            errors = [((decoder.predict(mean) - targets) ** 2).mean() for mean in means]
            gains[made_for] = of_mean - np.mean(errors)
        shares[repeats] = gains[repeats] / gains[1]
    assert shares[1] == 1
    assert 1.01 < shares[3] < shares[12]


def test_voxels_are_found_by_position():
    truth = make_truth()
    order = np.random.default_rng(0).permutation(len(truth.position))[:9]
    found = voxels_at(truth, truth.position[order].astype(np.float32), "responses")
    assert np.array_equal(found.weights, truth.brain.weights[order])
    assert np.array_equal(found.noise_sd, truth.brain.noise_sd[order])
    with pytest.raises(InputError, match="responses"):
        voxels_at(truth, truth.position[:1] + 500, "responses")


def test_new_scenes_are_drawn_as_the_studys_were():
    truth = make_truth()
    several = scene_population(truth, list(truth.scenes), 100)
    assert 20 < sum(len(scene.things) == 2 for scene in several) < 60
    assert not set(several) & set(truth.scenes.values())
    assert several == scene_population(truth, list(truth.scenes), 100)
    single = make_truth(n_things=1)
    trained = [name for name, scene in single.scenes.items() if scene.things[0].kind != "cup"]
    drawn = scene_population(single, trained, 40)
    assert {scene.things[0].kind for scene in drawn} == {
        single.scenes[name].things[0].kind for name in trained
    }
    assert {len(scene.things) for scene in drawn} == {1}


def test_the_truth_comes_back_as_it_was_written(tmp_path):
    for kind, n_things in (("linear", None), ("nonlinear", 1)):
        truth = make_truth(kind, n_things)
        write_truth(tmp_path / "sub.npz", truth)
        back = read_truth(tmp_path / "sub.npz")
        assert back.scenes == truth.scenes
        assert back.brain.kind == kind
        assert (back.seed, back.n_things) == (3, n_things)
        features = flat_features(list(truth.scenes.values()))
        assert np.array_equal(back.brain.answers(features), truth.brain.answers(features))
        with np.load(tmp_path / "sub.npz", allow_pickle=False) as stored:
            assert ("B" in stored.files) == (kind == "linear")
    silent = replace(truth.brain, gain=np.zeros_like(truth.brain.gain))
    assert np.allclose(silent.answers(features), silent.baseline, atol=1e-6)


def test_missing_truth_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"sub-02\.npz"):
        truth_by_subject([tmp_path / "sub-01.npz"], ["sub-02"])
    with pytest.raises(InputError, match="Simulate it first"):
        read_truth(tmp_path / "sub-01.npz")
