"""import_pictures lists a folder of PNGs by image id, and what does not belong there."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from afterimage.errors import InputError
from afterimage.metrics.pictures import find_reconstructions
from afterimage.stores import read_table, write_table
from workflow_scripts.import_pictures import main


@pytest.fixture
def theirs(tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    for name in ("007_0", "007_1", "12", "stranger"):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / f"{name}.png")
    table = pd.DataFrame({"image_id": ["007", "12", "3", "99"], "split": ["test"] * 3 + ["train"]})
    write_table(tmp_path / "trials.parquet", table)
    return tmp_path


def test_pictures_are_listed_where_they_are(theirs, capsys):
    main(str(theirs / "theirs"), str(theirs / "trials.parquet"), str(theirs / "out"))
    said = capsys.readouterr().out
    assert "missing: no picture for image 3" in said
    assert "3 pictures of 2 of 3 test images" in said
    manifest = read_table(theirs / "out" / "manifest.csv")
    assert sorted(zip(manifest.image_id, manifest["sample"], strict=True)) == [
        ("007", 0), ("007", 1), ("12", 0)
    ]  # fmt: skip
    found = find_reconstructions([theirs / "out"], ["007", "12", "3"])
    assert found.files["007"][1] == (theirs / "theirs" / "007_1.png").resolve()
    assert found.extra == ["stranger.png"]
    assert found.missing == ["3"]


def test_a_folder_without_any_is_an_error(theirs):
    (theirs / "empty").mkdir()
    with pytest.raises(InputError, match="pictures named"):
        main(str(theirs / "empty"), str(theirs / "trials.parquet"), str(theirs / "out"))
    assert not (theirs / "out").exists()
