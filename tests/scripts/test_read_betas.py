"""read_betas gives each split its own rows of the raw file, and nothing of the others."""

import numpy as np
import pandas as pd
import pytest

from afterimage.stores import read_arrays, write_table
from workflow_scripts.read_betas import main

N_TRIALS, N_VOXELS = 24, 6
SPLITS = ("train", "validation", "test")
LOWER, HIGHER = [0, 1, 2, 4], [3, 5]


@pytest.fixture
def raw(tmp_path):
    """Your own data: 24 trials; voxels 0, 1 in V1, 2 and 4 in V2, 3 and 5 in IT."""
    folder = tmp_path / "raw" / "p1"
    folder.mkdir(parents=True)
    image_id = [f"{i % 12:03d}" for i in range(N_TRIALS)]
    split = ["test" if int(name) >= 9 else "train" for name in image_id]
    pd.DataFrame(
        {"trial": range(N_TRIALS), "image_id": image_id, "session": 1, "run": 1, "split": split}
    ).to_csv(folder / "trials.csv", index=False)
    region = np.array(["V1", "V1", "V2", "IT", "V2", "IT"])
    columns = {name: (region == name).astype(int) for name in ("V1", "V2", "IT")}
    pd.DataFrame({"voxel": range(N_VOXELS), **columns, "x": range(6), "y": 0, "z": -1}).to_csv(
        folder / "voxels.csv", index=False
    )
    responses = np.random.default_rng(0).normal(size=(N_TRIALS, N_VOXELS)).astype(np.float32)
    np.save(folder / "responses.npy", responses)
    table = pd.DataFrame(
        {
            "trial": range(N_TRIALS),
            "session": 1,
            "run": 1,
            "part": "all",
            "row": range(N_TRIALS),
            "image_id": image_id,
            "split": [
                "validation" if name == "004" else s
                for name, s in zip(image_id, split, strict=True)
            ],
            "repeat": [i // 12 for i in range(N_TRIALS)],
        }
    )
    write_table(tmp_path / "trials.parquet", table)
    return tmp_path, responses, table


CFG = {
    "format": "custom",
    "subjects": ["p1"],
    "areas": {
        "lower": {"regions": {"V1": {"columns": ["V1"]}, "V2": {"columns": ["V2"]}}},
        "higher": {"regions": {"IT": {"columns": ["IT"]}}},
    },
}


def read(folder, split: str, part: str = "all") -> dict[str, np.ndarray]:
    outputs = {name: str(folder / f"{name}-{part}.zarr") for name in SPLITS}
    cfg = {**CFG, "root": str(folder / "raw")}
    main(str(folder / "trials.parquet"), outputs, cfg, "p1", part, 0)
    return read_arrays(outputs[split])


@pytest.mark.parametrize("split", SPLITS)
def test_rows_and_voxels_of_one_split(raw, split):
    folder, responses, table = raw
    rows = np.flatnonzero(table["split"] == split)
    got = read(folder, split)
    assert got["trial"].tolist() == rows.tolist()
    np.testing.assert_array_equal(got["lower"], responses[rows][:, LOWER])
    np.testing.assert_array_equal(got["higher"], responses[rows][:, HIGHER])
    assert got["lower"].dtype == np.float32
    assert got["lower_voxel_roi"].tolist() == ["V1", "V1", "V2", "V2"]
    np.testing.assert_array_equal(got["lower_voxel_xyz"], [[v, 0, -1] for v in LOWER])
    assert got["higher_voxel_roi"].tolist() == ["IT", "IT"]


def test_poisoned_test_trials_leave_the_training_file_as_it_was(raw):
    folder, responses, table = raw
    before = read(folder, "train")
    poisoned = responses.copy()
    poisoned[table["split"] == "test"] = 1e6
    np.save(folder / "raw" / "p1" / "responses.npy", poisoned)
    after = read(folder, "train")
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])
    assert (read(folder, "test")["lower"] == 1e6).all()


def test_a_part_without_trials_of_the_split_is_empty_but_knows_its_voxels(raw):
    folder, _, table = raw
    write_table(folder / "trials.parquet", table[table["split"] != "validation"])
    got = read(folder, "validation")
    assert got["lower"].shape == (0, 4)
    assert got["higher"].shape == (0, 2)
    assert got["trial"].shape == (0,)
    assert got["higher_voxel_roi"].tolist() == ["IT", "IT"]


def test_a_voxel_that_never_changes_in_training_has_no_data_in_any_split(raw, capsys):
    folder, responses, table = raw
    responses[(table["split"] == "train").to_numpy(), 4] = 0
    np.save(folder / "raw" / "p1" / "responses.npy", responses)
    for split in SPLITS:
        got = read(folder, split)
        rows = np.flatnonzero(table["split"] == split)
        assert np.isnan(got["lower"][:, 3]).all()
        np.testing.assert_array_equal(got["lower"][:, :3], responses[rows][:, LOWER[:3]])
        np.testing.assert_array_equal(got["higher"], responses[rows][:, HIGHER])
    said = capsys.readouterr().out
    assert "lower: 1 voxels without data in all" in said
    assert "the first in V2 at [4.0, 0.0, -1.0]" in said
    assert "higher: 1 voxels without" not in said


def test_what_test_trials_hold_decides_of_no_voxel(raw):
    """A voxel that is zero in all test trials stays; one that only they would save goes."""
    folder, responses, table = raw
    before = read(folder, "train")
    responses[(table["split"] == "test").to_numpy()] = 0
    np.save(folder / "raw" / "p1" / "responses.npy", responses)
    after = read(folder, "train")
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])
    assert (read(folder, "test")["lower"] == 0).all()
