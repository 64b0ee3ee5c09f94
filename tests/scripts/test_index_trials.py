"""index_trials on your own data's trial list."""

import numpy as np
import pandas as pd
import pytest

from afterimage.errors import InputError
from afterimage.stores import read_table
from workflow_scripts.index_trials import main

N_IMAGES = 60


def settings(root, split: list[str], image_id: list[str], **splitting) -> dict:
    (root / "p1").mkdir(parents=True)
    n = len(image_id)
    pd.DataFrame(
        {"trial": range(n), "image_id": image_id, "session": 1, "run": 1, "split": split}
    ).to_csv(root / "p1" / "trials.csv", index=False)
    np.save(root / "p1" / "responses.npy", np.zeros((n, 3), np.float32))
    pd.DataFrame({"voxel": range(3), "V1": [1, 1, 0], "IT": [0, 0, 1]}).to_csv(
        root / "p1" / "voxels.csv", index=False
    )
    return {
        "format": "custom",
        "root": str(root),
        "subjects": ["p1"],
        "split": {"scheme": "official", "validation_fraction": 0.2, **splitting},
        "areas": {
            "lower": {"regions": {"V1": {"columns": ["V1"]}}},
            "higher": {"regions": {"IT": {"columns": ["IT"]}}},
        },
    }


def test_writes_every_trial_once_with_its_split(tmp_path, capsys):
    images = [f"{i % N_IMAGES:03d}" for i in range(2 * N_IMAGES)]
    split = ["test" if i % N_IMAGES >= 50 else "train" for i in range(2 * N_IMAGES)]
    cfg = settings(tmp_path / "raw", split, images)
    main(str(tmp_path / "trials.parquet"), cfg, "p1", 0, "mine")
    table = read_table(tmp_path / "trials.parquet")
    assert table.columns.tolist() == [
        "trial", "session", "run", "part", "row", "image_id", "split", "repeat",
    ]  # fmt: skip
    assert table["trial"].tolist() == list(range(120))
    assert table["image_id"].tolist() == images
    assert table["repeat"].tolist() == [0] * 60 + [1] * 60
    assert ((table["split"] == "test") == (np.array(split) == "test")).all()
    assert "test: 10 images, 20 trials" in capsys.readouterr().out


def test_an_empty_split_column_is_filled_from_the_configuration(tmp_path):
    images = [f"{i:03d}" for i in range(N_IMAGES)]
    cfg = settings(tmp_path / "raw", [""] * N_IMAGES, images, test_fraction=0.25)
    main(str(tmp_path / "trials.parquet"), cfg, "p1", 0)
    counts = read_table(tmp_path / "trials.parquet")["split"].value_counts()
    assert set(counts.index) == {"train", "validation", "test"}
    assert 6 <= counts["test"] <= 25
    del cfg["split"]["test_fraction"]
    with pytest.raises(InputError, match=r"mine p1, image 000: .*test_fraction"):
        main(str(tmp_path / "other.parquet"), cfg, "p1", 0, "mine")
    assert not (tmp_path / "other.parquet").exists()


def test_poisoned_test_trials_change_no_row_of_another_split(tmp_path):
    """Other test images, in another order: rows of the other splits stay, byte for byte."""
    train = [f"{i % 40:03d}" for i in range(80)]
    test = [f"test{i}" for i in range(10)]
    poison = [f"poison{i}" for i in range(10)][::-1]
    rows = {}
    for name, own in (("clean", test), ("poisoned", poison)):
        images = [*train[:40], *own, *train[40:], *own]
        split = ["test" if image in own else "train" for image in images]
        main(str(tmp_path / f"{name}.parquet"), settings(tmp_path / name, split, images), "p1", 0)
        table = read_table(tmp_path / f"{name}.parquet")
        rows[name] = table[table["split"] != "test"].to_csv().encode()
        assert set(table.loc[table["split"] == "test", "image_id"]) == set(own)
    assert b"validation" in rows["clean"]
    assert rows["clean"] == rows["poisoned"]
