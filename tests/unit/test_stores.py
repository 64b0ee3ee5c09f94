"""Files are whole or absent, strings survive, and joins are by id."""

import json

import numpy as np
import pandas as pd
import pytest
import zarr

from afterimage import stores
from afterimage.errors import InputError


def test_arrays_and_strings_come_back(tmp_path):
    path = tmp_path / "a.zarr"
    arrays = {
        "x": np.arange(12, dtype=np.float32).reshape(3, 4),
        "image_id": np.array(["2950", "dog_12s", "näme"]),
        "none": np.zeros((0, 5), np.float32),
        "flags": np.array([True, False]),
    }
    stores.write_arrays(path, arrays, {"area": "lower"})
    found = stores.read_arrays(path)
    assert sorted(found) == sorted(arrays)
    for name in ("x", "none", "flags"):
        np.testing.assert_array_equal(found[name], arrays[name])
        assert found[name].dtype == arrays[name].dtype
    assert found["image_id"].tolist() == ["2950", "dog_12s", "näme"]
    assert stores.read_attributes(path) == {"area": "lower"}


def test_the_time_stamp_that_snakemake_leaves_is_no_array(tmp_path, recwarn):
    path = tmp_path / "a.zarr"
    stores.write_arrays(path, {"x": np.zeros(3)})
    (path / ".snakemake_timestamp").touch()
    assert list(stores.read_arrays(path)) == ["x"]
    assert not recwarn.list


def test_any_zarr_reader_opens_a_store(tmp_path):
    stores.write_arrays(tmp_path / "a.zarr", {"x": np.ones((2, 3))})
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="r")
    assert json.loads((tmp_path / "a.zarr/zarr.json").read_text())["zarr_format"] == 3
    np.testing.assert_array_equal(group["x"][...], np.ones((2, 3)))


def test_one_row_is_one_read_when_asked(tmp_path):
    stores.write_arrays(tmp_path / "a.zarr", {"x": np.ones((10, 7))}, rows_per_chunk={"x": 1})
    assert zarr.open_group(str(tmp_path / "a.zarr"), mode="r")["x"].chunks == (1, 7)


def test_a_write_that_fails_leaves_nothing_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "value.json"
    stores.write_json(path, {"old": 1})

    def fail_half_way():
        with stores.whole(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert stores.read_json(path) == {"old": 1}
    assert [child.name for child in tmp_path.iterdir()] == ["value.json"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "a.zarr"
    stores.write_arrays(path, {"x": np.ones(3), "y": np.ones(3)})
    stores.write_arrays(path, {"x": np.zeros(3)})
    assert list(stores.read_arrays(path)) == ["x"]


def test_positions_join_by_id():
    assert stores.positions(["b", "a"], ["a", "c", "b"], "table").tolist() == [2, 0]


@pytest.mark.parametrize(
    ("wanted", "present", "said"),
    [(["a", "d"], ["a", "b"], "1 missing, first d"), (["a"], ["a", "a"], "a more than once")],
)
def test_positions_that_lose_or_repeat_an_id_are_errors(wanted, present, said):
    with pytest.raises(InputError, match=said):
        stores.positions(wanted, present, "table")


def test_image_ids_of_a_csv_stay_strings(tmp_path):
    for name in ("t.csv", "t.parquet"):
        stores.write_table(tmp_path / name, pd.DataFrame({"image_id": ["007", "12"], "x": [1, 2]}))
        assert stores.read_table(tmp_path / name)["image_id"].tolist() == ["007", "12"]


def test_missing_and_broken_files_are_said_in_one_line(tmp_path):
    with pytest.raises(InputError, match="expected a zarr group, found nothing"):
        stores.read_arrays(tmp_path / "none.zarr")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match="invalid JSON"):
        stores.read_json(tmp_path / "bad.json")
    stores.write_arrays(tmp_path / "a.zarr", {"x": np.ones(3)})
    with pytest.raises(InputError, match="an array 'y', found only x"):
        stores.read_arrays(tmp_path / "a.zarr", "y")
