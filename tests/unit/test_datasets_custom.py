"""Your own data: every storage of the responses, ids that look like numbers, and digit69."""

import h5py
import numpy as np
import pytest
import zarr

from afterimage.datasets import open_dataset
from tests import raw_files
from tests.digit69 import convert


@pytest.fixture
def root(tmp_path):
    raw_files.write_custom(tmp_path / "lab")
    return tmp_path / "lab"


@pytest.fixture
def data(root):
    return open_dataset(raw_files.custom_settings(root))


def test_trials_are_sorted_and_rows_point_into_the_responses(data):
    trials = data.trials("anna")
    assert trials["trial"].tolist() == [0, 1, 2, 3, 4]
    assert trials["row"].tolist() == [0, 1, 3, 2, 4]
    assert trials["image_id"].tolist() == ["007", "008", "NA", "007", "009"]
    assert trials["official"].tolist() == ["train", "", "test", "train", ""]


@pytest.mark.parametrize("ending", ["npy", "h5", "zarr"])
def test_responses_from_every_storage(root, ending):
    values = raw_files.custom_responses()
    folder = root / "anna"
    (folder / "responses.npy").unlink()
    if ending == "npy":
        np.save(folder / "responses.npy", values.astype(np.float64))
    elif ending == "h5":
        with h5py.File(folder / "responses.h5", "w") as file:
            file["responses"] = values
    else:
        zarr.save_array(str(folder / "responses.zarr"), values)
    data = open_dataset(raw_files.custom_settings(root))
    assert not [check.error for check in data.check("anna") if check.stops]
    rows, index = np.array([4, 0, 3]), np.array([2, 0])
    found = data.betas("anna", "all", rows, index)
    assert found.dtype == np.float32
    assert np.array_equal(found, values[rows][:, index])


def test_rows_far_apart_are_read_one_by_one(root):
    table = (root / "anna/trials.csv").read_text().splitlines()
    rows = [f"{number},007,1,1,train" for number in range(1000)]
    (root / "anna/trials.csv").write_text("\n".join([table[0], *rows]) + "\n")
    values = np.random.default_rng(0).normal(size=(1000, 4))
    np.save(root / "anna/responses.npy", values)
    data = open_dataset(raw_files.custom_settings(root))
    found = data.betas("anna", "all", np.array([999, 3]), np.array([1]))
    assert np.array_equal(found, values[[999, 3]][:, [1]].astype(np.float32))


def test_voxels_by_their_columns(data):
    lower, higher = data.voxels("anna", "lower"), data.voxels("anna", "higher")
    assert lower.index.tolist() == [0, 2]
    assert higher.index.tolist() == [1, 2]
    assert lower.xyz.tolist() == [[1.5, 2, 3], [7, 8, 9]]


def test_voxels_need_no_coordinates(root):
    (root / "anna/voxels.csv").write_text("voxel,V1,IT\n1,1,0\n2,0,1\n3,1,1\n4,0,0\n")
    xyz = open_dataset(raw_files.custom_settings(root)).voxels("anna", "lower").xyz
    assert xyz.shape == (2, 3)
    assert np.isnan(xyz).all()


def test_pictures_and_captions_by_id(data):
    assert data.captions("007") == ["a spy", "another spy"]
    assert data.captions("NA") == ["sodium"]
    assert np.array_equal(data.image("NA"), raw_files.picture(2))
    assert data.image("008").shape == (8, 8, 3)


def test_real_digits_in_five_splits(real_data, tmp_path):
    settings = convert(real_data / "fmri/digit69/digit69_28x28.mat", tmp_path / "digit69")
    data = open_dataset(settings)
    tested = []
    for subject in settings["subjects"]:
        assert not [check.error for check in data.check(subject) if check.stops]
        trials = data.trials(subject)
        assert (trials["official"] == "train").sum() == 80
        chosen = trials[trials["official"] == "test"]
        assert sorted(data.captions(name)[0] for name in chosen["image_id"]) == (
            ["a handwritten nine"] * 10 + ["a handwritten six"] * 10
        )
        tested += chosen["image_id"].tolist()
    assert len(set(tested)) == len(tested) == 100
    lower, higher = (data.voxels("split1", area) for area in ("lower", "higher"))
    assert len(lower.index) == len(higher.index) == 3092
    assert data.betas("split1", "all", np.arange(100), lower.index).shape == (100, 3092)
    assert data.image("digit000").shape == (28, 28, 3)
