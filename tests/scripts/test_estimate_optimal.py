"""Rule estimate_optimal: the best linear decoder, applied to a split's responses."""

from dataclasses import replace

import numpy as np
import pytest

from afterimage.simulation.brain import build_brain, flat_features
from afterimage.simulation.head import build_head
from afterimage.simulation.scenes import sample_scene
from afterimage.simulation.truth import Truth, write_truth
from afterimage.stores import read_arrays, write_arrays
from tests.tiny_diffusion import EXECUTION, N_TOKENS, write_model
from workflow_scripts import estimate_optimal

N_SCENES = 48


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


def study(folder, n_things):
    """Training and test responses, z-scored by training statistics, of a simulated subject."""
    rng = np.random.default_rng(0)
    scenes = {f"picture{index:02d}": sample_scene(rng, n_things) for index in range(24)}
    head = build_head({"V1": 30, "ventral": 30}, rng)
    features = flat_features(list(scenes.values()))
    brain = build_brain("linear", head, features, 3.0, 1.0, rng)
    truth = Truth(brain, brain.xyz, scenes, 0, n_things)
    write_truth(folder / "truth.npz", truth)
    trials = brain.trials(features, rng)
    mean, std = trials.mean(0), trials.std(0)
    ids = np.array(list(scenes))
    for split, rows in (("train", slice(0, 18)), ("test", slice(18, 24))):
        arrays = {
            "x": ((trials - mean) / std)[rows].astype(np.float32),
            "image_id": ids[rows],
            "n_trials_averaged": np.ones(len(ids[rows]), np.int64),
            "voxel_xyz": brain.xyz.astype(np.float32),
            "voxel_mean": mean.astype(np.float32),
            "voxel_std": std.astype(np.float32),
        }
        write_arrays(folder / f"{split}.zarr", arrays)
    return truth, ids


def run(folder, model, target, latents_train):
    estimate_optimal.main(
        str(folder / "truth.npz"),
        str(folder / "test.zarr"),
        str(folder / "train.zarr"),
        str(latents_train),
        str(folder / "optimal.zarr"),
        target,
        {
            "n_scenes": N_SCENES,
            "dataset": {"simulate": {"picture_size": 40, "captions_per_image": 2}},
            "model": str(model),
            "revision": None,
            "image_size": 32,
            "n_tokens": N_TOKENS,
        },
        EXECUTION,
    )
    return read_arrays(folder / "optimal.zarr")


def test_image_latents(tmp_path, model):
    _, ids = study(tmp_path, None)
    found = run(tmp_path, model, "image", tmp_path / "none.zarr")
    assert found["z"].shape == (6, 4, 8, 8)
    assert found["z"].dtype == np.float32
    assert found["image_id"].tolist() == ids[18:].tolist()
    assert np.isfinite(found["z"]).all()
    assert found["z"].std(0).mean() > 0


def test_caption_embeddings(tmp_path, model):
    study(tmp_path, None)
    found = run(tmp_path, model, "text", tmp_path / "none.zarr")
    assert found["c"].shape == (6, N_TOKENS, 16)
    assert np.ptp(found["c"][:, 0], axis=0).max() < 1e-4, "the start token never varies"
    assert np.ptp(found["c"][:, 2], axis=0).max() > 0.01


def test_averaged_training_samples_have_less_noise(tmp_path, model):
    """Means of n trials have 1/n of the variance: the same as single trials of a quieter brain."""
    averaged, single = tmp_path / "averaged", tmp_path / "single"
    counts = np.repeat([1, 2, 4], 6)
    found = []
    for folder, n_averaged in ((averaged, counts), (single, np.ones(18, np.int64))):
        folder.mkdir()
        truth, _ = study(folder, None)
        train = read_arrays(folder / "train.zarr")
        write_arrays(folder / "train.zarr", {**train, "n_trials_averaged": n_averaged})
        if folder == single:
            quieter = truth.brain.noise_sd * np.sqrt((1 + 1 / 2 + 1 / 4) / 3)
            brain = replace(truth.brain, noise_sd=quieter.astype(truth.brain.noise_sd.dtype))
            write_truth(folder / "truth.npz", replace(truth, brain=brain))
        found.append(run(folder, model, "image", folder / "none.zarr")["z"])
    np.testing.assert_allclose(*found, rtol=1e-3, atol=1e-4)


def test_concepts_are_recognised(tmp_path, model):
    """Each kind stands for a vector of its own: with little noise the kind can be read off."""
    truth, ids = study(tmp_path, 1)
    kinds = [scene.things[0].kind for scene in truth.scenes.values()]
    vectors = dict(zip(sorted(set(kinds)), np.eye(16), strict=False))
    latents = np.stack([np.tile(vectors[kind], (3, 1)) for kind in kinds]).astype(np.float32)
    write_arrays(tmp_path / "c.zarr", {"c": latents[:18], "image_id": ids[:18]})
    found = run(tmp_path, model, "text", tmp_path / "c.zarr")
    assert found["c"].shape == (6, 3, 16)
    trained = set(kinds[:18])
    known = [row for row in range(6) if kinds[18 + row] in trained]
    right = [found["c"][row, 0].argmax() == vectors[kinds[18 + row]].argmax() for row in known]
    assert len(known) >= 3
    assert np.mean(right) >= 0.6
