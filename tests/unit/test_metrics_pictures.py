"""Finding pictures by id: manifests, other people's names, and what is missing or extra."""

import numpy as np
import pytest
from PIL import Image

from afterimage.errors import InputError
from afterimage.metrics.pictures import find_reconstructions, note_sizes, read_picture


def save(path, side: int = 8) -> None:
    Image.fromarray(np.zeros((side, side, 3), dtype=np.uint8)).save(path)


def test_other_peoples_folder_with_one_missing_one_extra_and_one_of_another_size(tmp_path):
    for name in ("dog_1s", "dog_2s_0", "dog_2s_1", "sea_lion_3s_12", "cat_1s"):
        save(tmp_path / f"{name}.png", side=9 if name == "dog_2s_1" else 8)
    found = find_reconstructions([tmp_path], ["dog_1s", "dog_2s", "sea_lion_3s", "owl_1s"])
    note_sizes(found)
    assert {name: sorted(samples) for name, samples in found.files.items()} == {
        "dog_1s": [0],
        "dog_2s": [0, 1],
        "sea_lion_3s": [0],
    }
    assert found.files["sea_lion_3s"][0].name == "sea_lion_3s_12.png"
    assert found.remarks() == [
        "missing: no picture for image owl_1s",
        "extra: cat_1s.png is no image of the test set, left out",
        "resized: dog_2s_1.png is 9x9, others 8x8",
    ]


def test_samples_are_numbered_by_their_rank(tmp_path):
    for name in ("2950_1", "2950_10", "2950_2", "2990_2", "3049_7"):
        save(tmp_path / f"{name}.png")
    found = find_reconstructions([tmp_path], ["2950", "2990", "3049"])
    named = {
        name: [samples[k].stem for k in range(len(samples))]
        for name, samples in found.files.items()
    }
    assert named == {
        "2950": ["2950_1", "2950_2", "2950_10"], "2990": ["2990_2"], "3049": ["3049_7"]
    }  # fmt: skip


def test_an_id_that_looks_like_an_id_with_a_sample_is_the_id(tmp_path):
    save(tmp_path / "12_1.png")
    assert find_reconstructions([tmp_path], ["12", "12_1"]).files.keys() == {"12_1"}


def shard(folder, rows: list[tuple[str, int]], also: str = "") -> None:
    folder.mkdir()
    lines = ["image_id,sample,file"]
    for name, sample in rows:
        save(folder / f"{name}_{sample}.png")
        lines.append(f"{name},{sample},{name}_{sample}.png")
    (folder / "manifest.csv").write_text("\n".join([*lines, *([also] if also else [])]) + "\n")


def test_shards_are_joined_and_ids_stay_strings_in_the_order_of_numbers(tmp_path):
    shard(tmp_path / "shard0of2", [("1000", 0), ("0029", 0)])
    shard(tmp_path / "shard1of2", [("30", 0), ("30", 1)])
    save(tmp_path / "shard1of2" / "stray.png")
    found = find_reconstructions([tmp_path / "shard0of2", tmp_path / "shard1of2"], None)
    assert found.image_ids == ["30", "0029", "1000"]
    assert found.extra == ["stray.png"]
    checked = find_reconstructions([tmp_path / "shard1of2"], ["30", "31"])
    assert checked.missing == ["31"]


def test_manifests_that_lie_are_refused(tmp_path):
    shard(tmp_path / "a", [("1", 0)], also="2,0,2_0.png")
    with pytest.raises(InputError, match="picture of image 2"):
        find_reconstructions([tmp_path / "a"], None)
    shard(tmp_path / "b", [("1", 0)])
    shard(tmp_path / "c", [("1", 0)])
    with pytest.raises(InputError, match="each image and sample once"):
        find_reconstructions([tmp_path / "b", tmp_path / "c"], None)


def test_nothing_to_score_is_said(tmp_path):
    save(tmp_path / "x.png")
    with pytest.raises(InputError, match="1 others"):
        find_reconstructions([tmp_path], ["1"])
    with pytest.raises(InputError, match=r"manifest\.csv, or the test images' ids"):
        find_reconstructions([tmp_path], None)
    with pytest.raises(InputError, match="a folder of pictures"):
        find_reconstructions([tmp_path / "absent"], ["1"])


def test_pictures_become_rgb_and_broken_files_are_named(tmp_path):
    Image.fromarray(np.full((4, 5), 9, dtype=np.uint8)).save(tmp_path / "gray.png")
    assert (read_picture(tmp_path / "gray.png") == np.full((4, 5, 3), 9)).all()
    (tmp_path / "broken.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(InputError, match=r"broken\.png"):
        read_picture(tmp_path / "broken.png")
    (tmp_path / "1.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(InputError, match=r"1\.png"):
        note_sizes(find_reconstructions([tmp_path], ["1"]))
