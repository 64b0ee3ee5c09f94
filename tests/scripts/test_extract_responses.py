"""extract_responses on small betas files: statistics, joins, leaks and errors."""

import numpy as np
import pandas as pd
import pytest

from afterimage.errors import InputError
from afterimage.stores import read_arrays, read_attributes, write_arrays, write_table
from workflow_scripts.extract_responses import main

CFG = {
    "normalise": "voxel",
    "max_bad_voxels": 0.3,
    "min_noise_ceiling": None,
    "train_samples": "trials",
}
N_VOXELS = {"lower": 5, "higher": 4}


class Study:
    """Three sessions of 20 trials: 15 images shown twice for training, 5 each for the others."""

    def __init__(self, folder) -> None:
        rng = np.random.default_rng(0)
        self.folder = folder
        images = np.repeat([f"{i:02d}" for i in range(25)], [2] * 15 + [3] * 10)
        image_id = rng.permutation(images)
        number = image_id.astype(int)
        self.table = pd.DataFrame(
            {
                "trial": np.arange(60),
                "session": 1 + np.arange(60) // 20,
                "part": [f"session{1 + i // 20:02d}" for i in range(60)],
                "image_id": image_id,
                "split": np.select([number < 15, number < 20], ["train", "validation"], "test"),
            }
        )
        truth = rng.normal(size=(25, 9))
        self.betas = (truth[number] + rng.normal(size=(60, 9)) + 40).astype(np.float32)

    def area(self, area: str) -> np.ndarray:
        return self.betas[:, :5] if area == "lower" else self.betas[:, 5:]

    def rows(self, split: str) -> np.ndarray:
        return np.flatnonzero(self.table["split"] == split)

    def write_betas(self, split: str, parts=(1, 2, 3)) -> list[str]:
        paths = []
        for number in parts:
            rows = np.flatnonzero((self.table.split == split) & (self.table.session == number))
            paths.append(str(self.folder / f"betas-{split}-{number}.zarr"))
            arrays = {"trial": self.table["trial"].to_numpy()[rows]}
            for area, n in N_VOXELS.items():
                arrays[area] = self.area(area)[rows]
                arrays[f"{area}_voxel_roi"] = np.array([f"{area}{i % 2}" for i in range(n)])
                arrays[f"{area}_voxel_xyz"] = np.arange(3 * n, dtype=np.float32).reshape(n, 3)
            write_arrays(paths[-1], arrays)
        return paths

    def run(self, split: str, parts=(1, 2, 3), **cfg) -> dict[str, dict[str, np.ndarray]]:
        write_table(self.folder / "trials.parquet", self.table)
        outs = [str(self.folder / f"{area}-{split}.zarr") for area in N_VOXELS]
        training = [str(self.folder / f"{area}-train.zarr") for area in N_VOXELS]
        main(
            str(self.folder / "trials.parquet"),
            self.write_betas(split, parts),
            [] if split == "train" else training,
            *outs,
            split,
            {**CFG, **cfg},
            "demo p1",
        )
        return {area: read_arrays(out) for area, out in zip(N_VOXELS, outs, strict=True)}


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path)


def mean_by_image(x: np.ndarray, ids: np.ndarray) -> np.ndarray:
    return np.stack([x[ids == image].mean(axis=0) for image in sorted(set(ids))])


def test_training_trials_are_normalised_per_voxel_in_order_of_time(study):
    got = study.run("train")
    rows = study.rows("train")
    for area in N_VOXELS:
        raw = study.area(area)[rows].astype(np.float64)
        np.testing.assert_allclose(
            got[area]["x"], (raw - raw.mean(axis=0)) / raw.std(axis=0), atol=1e-5
        )
        np.testing.assert_allclose(got[area]["voxel_mean"], raw.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(got[area]["voxel_std"], raw.std(axis=0), rtol=1e-6)
        assert got[area]["image_id"].tolist() == study.table["image_id"][rows].tolist()
        assert got[area]["session"].tolist() == study.table["session"][rows].tolist()
        assert (got[area]["n_trials_averaged"] == 1).all()
        assert got[area]["voxel_kept"].all()
        assert (got[area]["voxel_ncsnr"] >= 0).all()
    assert got["lower"]["voxel_roi"].tolist() == ["lower0", "lower1", "lower0", "lower1", "lower0"]


@pytest.mark.parametrize("split", ["validation", "test"])
def test_held_out_images_are_averaged_on_training_statistics(study, split):
    train = study.run("train")
    got = study.run(split)
    rows = study.rows(split)
    ids = study.table["image_id"].to_numpy(dtype=str)[rows]
    for area in N_VOXELS:
        raw = study.area(area)[study.rows("train")].astype(np.float64)
        scaled = (study.area(area)[rows] - raw.mean(axis=0)) / raw.std(axis=0)
        np.testing.assert_allclose(got[area]["x"], mean_by_image(scaled, ids), atol=1e-5)
        assert got[area]["image_id"].tolist() == sorted(set(ids))
        assert (got[area]["n_trials_averaged"] == 3).all()
        assert (got[area]["session"] == -1).all()
        for name in ("voxel_mean", "voxel_std", "voxel_roi", "voxel_xyz", "voxel_ncsnr"):
            np.testing.assert_array_equal(got[area][name], train[area][name])
        ncsnr = train[area]["voxel_ncsnr"].astype(np.float64)
        np.testing.assert_allclose(
            got[area]["voxel_noise_ceiling"], 100 * ncsnr**2 / (ncsnr**2 + 1 / 3), rtol=1e-5
        )


def test_averaging_over_the_repeats_that_exist(study):
    study.run("train")
    first = study.rows("test")[0]
    image = study.table["image_id"][first]
    study.table = study.table.drop(index=first).reset_index(drop=True)
    study.betas = np.delete(study.betas, first, axis=0)
    got = study.run("test")["lower"]
    where = got["image_id"].tolist().index(image)
    assert got["n_trials_averaged"].tolist() == [2 if i == where else 3 for i in range(5)]


def test_session_statistics_are_those_of_that_sessions_training_trials(study):
    study.betas[20:40] = 3 * study.betas[20:40] + 100
    study.run("train", normalise="voxel_session")
    got = study.run("test", normalise="voxel_session")["lower"]["x"]
    scaled = np.empty((60, 5))
    for number in (1, 2, 3):
        here = (study.table["session"] == number).to_numpy()
        raw = study.area("lower")[here & (study.table["split"] == "train").to_numpy()]
        raw = raw.astype(np.float64)
        scaled[here] = (study.area("lower")[here] - raw.mean(axis=0)) / raw.std(axis=0)
    rows = study.rows("test")
    ids = study.table["image_id"].to_numpy(dtype=str)[rows]
    np.testing.assert_allclose(got, mean_by_image(scaled[rows], ids), atol=1e-4)


def test_scalar_is_the_published_way(study):
    train = study.run("train", normalise="scalar")["higher"]
    raw = study.area("higher")[study.rows("train")].astype(np.float64)
    np.testing.assert_allclose(train["x"], (raw - raw.mean()) / raw.std(), atol=1e-5)
    np.testing.assert_allclose(train["voxel_std"], raw.std(), rtol=1e-6)
    test = study.run("test", normalise="scalar")["higher"]["x"]
    assert test.mean() == pytest.approx(0, abs=1e-5)
    assert test.std() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("method", ["voxel", "voxel_session", "scalar"])
def test_held_out_responses_can_be_made_percent_again(study, method):
    """The mean over an image's trials; with sessions, weighted by one over their deviations."""
    study.betas[20:40] = 3 * study.betas[20:40] + 100
    study.run("train", normalise=method)
    got = study.run("test", normalise=method)["lower"]
    rows, raw = study.rows("test"), study.area("lower").astype(np.float64)
    weights = np.ones_like(raw)
    if method == "voxel_session":
        for number in (1, 2, 3):
            here = (study.table["session"] == number).to_numpy()
            training = here & (study.table["split"] == "train").to_numpy()
            weights[here] = 1 / raw[training].std(axis=0)
    ids = study.table["image_id"].to_numpy(dtype=str)[rows]
    expected = mean_by_image((raw * weights)[rows], ids) / mean_by_image(weights[rows], ids)
    np.testing.assert_allclose(got["x"] * got["voxel_std"] + got["voxel_mean"], expected, rtol=1e-5)


def test_training_averages(study):
    trials = study.run("train")["lower"]
    averaged = study.run("train", train_samples="averages")["lower"]
    assert averaged["image_id"].tolist() == [f"{i:02d}" for i in range(15)]
    np.testing.assert_allclose(
        averaged["x"], mean_by_image(trials["x"], trials["image_id"]), atol=1e-6
    )
    assert (averaged["n_trials_averaged"] == 2).all()
    assert (averaged["session"] == -1).all()
    np.testing.assert_array_equal(averaged["voxel_ncsnr"], trials["voxel_ncsnr"])


def test_poisoned_test_trials_change_no_training_or_validation_output(study):
    def outputs():
        return study.run("train"), study.run("validation")

    before = outputs()
    study.betas[study.rows("test")] = np.nan
    for was, now in zip(before, outputs(), strict=True):
        for area in N_VOXELS:
            for name in was[area]:
                np.testing.assert_array_equal(was[area][name], now[area][name])


def test_the_order_of_parts_does_not_matter(study):
    before = study.run("train")["lower"]
    after = study.run("train", parts=(3, 1, 2))["lower"]
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])


def test_bad_voxels_go_from_every_split(study, capsys):
    study.betas[:, 1] = 7
    study.run("train")
    got = study.run("test")["lower"]
    assert got["x"].shape == (5, 4)
    assert got["voxel_kept"].tolist() == [True, False, True, True, True]
    assert got["voxel_roi"].tolist() == ["lower0", "lower0", "lower1", "lower0"]
    assert "demo p1, lower area, train: dropped 1 of 5 voxels" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"demo p1, lower area, train: .* first voxel 1"):
        study.run("train", max_bad_voxels=0.1)


def test_a_voxel_that_is_bad_in_test_trials_only_stays(study, capsys):
    study.run("train")
    study.betas[study.rows("test")[0], 2] = np.inf
    got = study.run("test")["lower"]["x"]
    assert got.shape == (5, 5)
    assert np.isfinite(got).all()
    assert "set to the training mean" in capsys.readouterr().out


def test_selection_by_noise_ceiling(study, capsys):
    every = study.run("train")["lower"]
    least = float(np.sort(every["voxel_noise_ceiling"])[2]) - 1e-3
    got = study.run("train", min_noise_ceiling=least)["lower"]
    good = every["voxel_noise_ceiling"] >= least
    assert good.sum() == 3
    np.testing.assert_array_equal(got["voxel_kept"], good)
    np.testing.assert_allclose(got["x"], every["x"][:, good], atol=1e-6)
    assert study.run("test")["lower"]["x"].shape == (5, 3)
    assert "3 of 5 voxels reach" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"at least 99\.9%"):
        study.run("train", min_noise_ceiling=99.9)


def test_without_repeats_the_ceiling_is_unknown_and_cannot_select(study):
    rows = study.rows("train")
    study.table.loc[rows, "image_id"] = [f"once{i}" for i in rows]
    got = study.run("train")["lower"]
    assert np.isnan(got["voxel_ncsnr"]).all()
    assert np.isnan(got["voxel_noise_ceiling"]).all()
    with pytest.raises(InputError, match="repeated training images"):
        study.run("train", min_noise_ceiling=10)


def test_missing_doubled_and_foreign_trials_are_errors(study):
    with pytest.raises(InputError, match="demo p1, train: expected 30 trials, each once"):
        study.run("train", parts=(1, 2))
    with pytest.raises(InputError, match="in 4 parts"):
        study.run("train", parts=(1, 2, 3, 3))
    study.run("train")
    with pytest.raises(InputError, match=r"trial .* out of place"):
        main(
            str(study.folder / "trials.parquet"),
            study.write_betas("test"),
            [],
            *[str(study.folder / f"{area}-x.zarr") for area in N_VOXELS],
            "train",
            CFG,
        )


def test_other_voxels_in_one_part_are_an_error(study, tmp_path):
    parts = study.write_betas("train")
    arrays = read_arrays(parts[2])
    arrays["lower_voxel_roi"] = arrays["lower_voxel_roi"][::-1].copy()
    arrays["lower_voxel_roi"][0] = "V9"
    write_arrays(parts[2], arrays)
    write_table(tmp_path / "trials.parquet", study.table)
    outs = [str(tmp_path / f"{area}.zarr") for area in N_VOXELS]
    with pytest.raises(InputError, match=r"betas-train-3.zarr: expected the voxels of"):
        main(str(tmp_path / "trials.parquet"), parts, [], *outs, "train", CFG)


def test_attributes_say_what_the_file_is(study):
    study.run("train")
    study.run("test")
    said = read_attributes(study.folder / "higher-test.zarr")
    assert said["area"] == "higher"
    assert said["split"] == "test"
    assert said["normalise"] == "voxel"
    assert said["n_trials"] == 15
