"""predict_latents: two independent averages of each image's repeats, decoded."""

import numpy as np
import pandas as pd
import pytest

from afterimage import stores
from afterimage.metrics.controls import noise_ceiling, pooled_correlation
from afterimage.metrics.halves import choose_halves, half_responses
from tests.scripts.test_train_decoder import CPU, train, write_study
from tests.unit.decoder_samples import entry
from workflow_scripts.predict_latents import predict_halves

REPEATS = {"test000": 3, "test001": 2, "test002": 5, "test003": 1}


def trial_table(repeats: dict[str, int]) -> pd.DataFrame:
    names = [name for name, count in repeats.items() for _ in range(count)]
    order = np.random.default_rng(0).permutation(len(names))
    return pd.DataFrame(
        {"trial": np.arange(len(names)) + 100, "image_id": np.array(names)[order], "session": 1}
    )


def test_halves_hold_as_many_repeats_of_every_image_that_was_repeated():
    chosen, lengthening = choose_halves(trial_table(REPEATS))
    counts = chosen.groupby(["image_id", "half"]).size()
    assert set(chosen["image_id"]) == {"test000", "test001", "test002"}
    assert (counts == 1).all()
    assert len(counts) == 6
    assert lengthening == pytest.approx((3 + 2 + 5) / 3)
    chosen, lengthening = choose_halves(trial_table({"a": 12, "b": 12}))
    assert (chosen.groupby(["image_id", "half"]).size() == 6).all()
    assert lengthening == 2
    chosen, _ = choose_halves(trial_table({"a": 1, "b": 1}))
    assert not len(chosen)


def write_betas(folder, trials: pd.DataFrame, values: np.ndarray, parts: int) -> list[str]:
    paths = []
    for part, rows in enumerate(np.array_split(np.arange(len(trials)), parts)):
        paths.append(str(folder / f"part{part}.zarr"))
        arrays = {"lower": values[rows], "trial": trials["trial"].to_numpy()[rows]}
        stores.write_arrays(paths[-1], arrays)
    return paths


def write_training(folder, kept: np.ndarray, mean: np.ndarray, std: np.ndarray) -> str:
    arrays = {"voxel_kept": kept, "voxel_mean": mean, "voxel_std": std}
    stores.write_arrays(folder / "training.zarr", arrays, {"normalise": "voxel"})
    return str(folder / "training.zarr")


@pytest.mark.parametrize("parts", [1, 3])
def test_responses_of_the_halves_are_means_of_their_own_normalised_trials(tmp_path, parts):
    trials = trial_table({"a": 4, "b": 5, "c": 4})
    values = np.random.default_rng(1).normal(size=(13, 6)).astype(np.float32)
    kept = np.array([True, True, False, True, True, True])
    mean, std = np.arange(5.0).astype(np.float32), np.arange(1.0, 6.0).astype(np.float32)
    betas = write_betas(tmp_path, trials, values, parts)
    chosen, _ = choose_halves(trials)
    training = write_training(tmp_path, kept, mean, std)
    first, second, ids = half_responses(chosen, betas, "lower", training)
    assert ids.tolist() == ["a", "b", "c"]
    for half, found in enumerate((first, second)):
        for row, name in enumerate(ids):
            own = chosen[(chosen["half"] == half) & (chosen["image_id"] == name)]["trial"] - 100
            expected = ((values[own][:, kept] - mean) / std).mean(axis=0)
            assert found[row] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("target", ["image", "text"])
def test_predictions_of_the_halves_agree_as_far_as_noise_lets_them(tmp_path, target):
    write_study(tmp_path)
    train(tmp_path, target, entry("linear"))
    x = stores.read_arrays(tmp_path / "x.test.zarr", "x", "image_id")
    names = np.unique(x["image_id"])
    clean = np.stack([x["x"][x["image_id"] == name].mean(axis=0) for name in names])
    trials = trial_table(dict.fromkeys(names, 4)).assign(split="test")
    generator = np.random.default_rng(2)
    rows = np.searchsorted(names, trials["image_id"].to_numpy(dtype=str))
    noisy = clean[rows] + 2 * generator.normal(size=(len(rows), clean.shape[1]))
    betas = write_betas(tmp_path, trials, noisy.astype(np.float32), 2)
    voxels = clean.shape[1]
    ones = np.ones(voxels, dtype=np.float32)
    training = write_training(tmp_path, ones.astype(bool), 0 * ones, ones)
    stores.write_table(tmp_path / "trials.parquet", trials)
    predict_halves(
        str(tmp_path / "model"), str(tmp_path / "trials.parquet"), betas, training,
        str(tmp_path / "one.zarr"), str(tmp_path / "other.zarr"), target, "lower", CPU,
    )  # fmt: skip
    letter = {"image": "z", "text": "c"}[target]
    one, other = (stores.read_arrays(tmp_path / f"{n}.zarr") for n in ("one", "other"))
    assert one["image_id"].tolist() == other["image_id"].tolist() == names.tolist()
    assert one[letter].shape[1:] == ((2, 3, 4) if target == "image" else (5, 6))
    assert stores.read_attributes(tmp_path / "one.zarr")["lengthening"] == 2
    first = 0 if target == "image" else 1
    halves = [store[letter][:, first:] for store in (one, other)]
    r = pooled_correlation(*halves)
    assert 0.05 < r < 0.98
    assert r < noise_ceiling(*halves) < 1
