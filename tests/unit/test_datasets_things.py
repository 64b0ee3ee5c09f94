"""THINGS-fMRI's reader, on files written from the release's description and on real metadata."""

import shutil
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from afterimage.datasets import open_dataset, parts, things_betas
from afterimage.datasets.things_betas import read_responses
from afterimage.datasets.things_tables import read_stimuli, read_voxels
from afterimage.errors import InputError
from tests import damages, raw_files


@pytest.fixture
def root(tmp_path):
    raw_files.write_things(tmp_path / "things")
    return tmp_path / "things"


@pytest.fixture
def data(root):
    return open_dataset(raw_files.things_settings(root))


def test_trials_follow_the_table(data):
    trials = data.trials("sub-01")
    assert trials["image_id"].tolist() == [
        "dog_12s", "bat1_13s", "bat1_02n", "ice_cream_01b", "bat1_13s",
    ]  # fmt: skip
    assert trials["official"].tolist() == ["train", "test", "train", "train", "test"]
    assert trials["row"].tolist() == trials["trial"].tolist() == [0, 1, 2, 3, 4]
    assert set(trials["part"]) == {"all"} == set(parts(data.settings, "sub-01"))


def test_regions_are_unions_and_shared_voxels_count_once(data):
    voxels = data.voxels("sub-01", "higher")
    assert voxels.index.tolist() == [2, 5, 3]
    assert voxels.roi.tolist() == ["FFA", "FFA", "LOC"]
    assert "3 voxels (4 counted per region: 1 in more than one)" in voxels.notes[0]
    assert "median 30.0 %" in voxels.notes[1]
    assert voxels.xyz.tolist() == [[1, 39, 35], [2, 39, 35], [2, 39, 33]]


def test_the_reports_count_stands_beside_the_union(root):
    settings = raw_files.things_settings(root)
    settings["areas"]["higher"]["expected_voxels"] = 5183
    notes = open_dataset(settings).voxels("sub-01", "higher").notes
    assert "reports 5,183" in notes[0]


def test_columns_with_a_newline_are_found_by_either_spelling(root):
    path = root / "betas_csv/sub-01_VoxelMetadata.csv"
    assert len(path.read_text().splitlines()) == raw_files.THINGS_VOXELS + 2
    for name in ("glasser-p9-\n46v", "glasser-p9-46v"):
        assert np.flatnonzero(read_voxels(path, [name], [])[name]).tolist() == [4]


@pytest.mark.parametrize("block", [0, 1])
def test_rows_of_the_float_block_whichever_it_is(root, block):
    path = root / "betas_csv/sub-01_ResponseData.h5"
    raw_files.write_responses(path, raw_files.things_responses(), block)
    rows, index = np.array([4, 0]), np.array([5, 2, 3, 0])
    found = open_dataset(raw_files.things_settings(root)).betas("sub-01", "all", rows, index)
    expected = raw_files.things_responses()[index][:, rows].T.astype(np.float32)
    assert found.tobytes() == expected.tobytes()


def test_a_file_that_pandas_wrote(tmp_path):
    """Mixed labels make pandas pickle them: reading must not need them."""
    values = raw_files.things_responses()
    frame = pd.DataFrame(values)
    frame.insert(0, "voxel_id", np.arange(len(values)))
    with pytest.warns(pd.errors.PerformanceWarning):
        frame.to_hdf(tmp_path / "new.h5", key="ResponseData", mode="w")
    found = read_responses(tmp_path / "new.h5", values.shape, np.arange(5), np.arange(7))
    assert np.array_equal(found, values.T.astype(np.float32))


def test_memory_is_bounded_by_the_rows_that_are_wanted(tmp_path):
    values = np.zeros((20_000, 300))
    values[:, 0] = np.arange(20_000)
    raw_files.write_responses(tmp_path / "big.h5", values)
    index = np.arange(0, 20_000, 200)
    tracemalloc.start()
    found = read_responses(tmp_path / "big.h5", values.shape, np.arange(300), index)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(found[0], index)
    assert peak < 2e6 < values.nbytes / 20


def test_neighbouring_voxels_are_read_in_blocks(tmp_path, monkeypatch):
    """All voxels are one run of rows: without a limit to it the whole file would be in memory."""
    values = np.random.default_rng(0).normal(size=(4000, 300))
    raw_files.write_responses(tmp_path / "big.h5", values)
    monkeypatch.setattr(things_betas, "BLOCK_BYTES", 100_000)
    rows, index = np.array([7, 3]), np.random.default_rng(1).permutation(4000)
    tracemalloc.start()
    found = read_responses(tmp_path / "big.h5", values.shape, rows, index)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.tobytes() == values[index][:, rows].T.astype(np.float32).tobytes()
    assert peak < 1e6 < values.nbytes / 9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("definition", "a club, used for hitting"),
        ("concept", "bat"),
        ("concept_definition", "bat, a club, used for hitting"),
    ],
)
def test_texts_are_joined_by_unique_id_not_by_word(root, text, expected):
    data = open_dataset(raw_files.things_settings(root) | {"text": text})
    assert data.captions("bat1_02n") == [expected]


def test_pictures_are_found_by_concept(root, data):
    assert np.abs(data.image("ice_cream_01b").astype(int) - raw_files.picture(3)).mean() < 10
    assert data.image_path("ice_cream_01b").parent.name == "ice_cream"


def test_a_picture_with_bytes_after_its_end_is_whole(root):
    path = root / "object_images/dog/dog_12s.jpg"
    path.write_bytes(path.read_bytes() + bytes(500))
    checks = open_dataset(raw_files.things_settings(root)).check("sub-01")
    assert checks[-1].found == "4 pictures"


@pytest.mark.parametrize("place", [".", "betas_csv/betas_csv"])
def test_archives_may_unpack_flat_or_nested(root, place):
    target = root / place
    target.mkdir(parents=True, exist_ok=True)
    for path in list((root / "betas_csv").glob("sub-01*")):
        path.rename(target / path.name)
    checks = open_dataset(raw_files.things_settings(root)).check("sub-01")
    assert not [check.error for check in checks if check.stops]


def test_check_says_what_to_unpack(root):
    (root / "betas_csv").rename(root / "gone")
    (root / "betas_csv.zip").write_bytes(b"")
    checks = open_dataset(raw_files.things_settings(root)).check("sub-01")
    assert checks[0].status == "missing"
    assert f"unzip {root}/betas_csv.zip" in checks[0].remedy


def test_real_trials_are_720_and_100_concepts(real_data, tmp_path):
    (tmp_path / "betas_csv").mkdir()
    source = real_data / "things/sub-01_StimulusMetadata.csv"
    shutil.copyfile(source, tmp_path / "betas_csv/sub-01_StimulusMetadata.csv")
    shutil.copyfile(real_data / "things/things_concepts.tsv", tmp_path / "things_concepts.tsv")
    data = open_dataset({"format": "things", "root": str(tmp_path)})
    trials = data.trials("sub-01")
    train, test = (trials[trials["official"] == kind] for kind in ("train", "test"))
    assert (len(train), len(test)) == (8640, 1200)
    assert (train["image_id"].nunique(), test["image_id"].nunique()) == (8640, 100)
    concepts = [{name.rsplit("_", 1)[0] for name in table["image_id"]} for table in (train, test)]
    assert (len(concepts[0]), len(concepts[1])) == (720, 100)
    assert concepts[1] <= concepts[0]
    assert set(test.groupby("image_id").size()) == {12}
    assert set(test.groupby("image_id")["session"].nunique()) == {12}
    names = set((real_data / "things/file_names_THINGS.txt").read_text().split())
    shown = set(trials["image_id"])
    assert {f"{name}.jpg" for name in shown} <= names
    assert shown == set(train["image_id"]) | set(test["image_id"])
    texts = {concept: data.captions(f"{concept}_01b")[0] for concept in concepts[0]}
    assert all(text.strip() for text in texts.values())
    assert all(data.captions(name)[0] == texts[name.rsplit("_", 1)[0]] for name in shown)
    assert data.captions("bat1_01b") != data.captions("bat2_01b")


def test_real_concepts_are_joined_where_the_word_differs(real_data, tmp_path):
    shutil.copyfile(real_data / "things/things_concepts.tsv", tmp_path / "things_concepts.tsv")
    data = open_dataset({"format": "things", "root": str(tmp_path), "text": "concept"})
    assert len(data.concepts) == 1854
    assert (data.concepts["Word"] != data.concepts.index).sum() == 332
    assert data.captions("bat1_01b") == data.captions("bat2_01b") == ["bat"]
    assert not data.concepts.iloc[:, 1].str.contains("\r").any()


def test_trials_of_another_subject_are_refused(root):
    with pytest.raises(InputError, match="rows of sub-02, found subject_id 1"):
        read_stimuli(root / "betas_csv/sub-01_StimulusMetadata.csv", "sub-02")


def test_voxels_in_another_order_than_a_masks_are_said_and_stop_nothing(root):
    """The release does not promise the order; the ceilings tell whether rows are other voxels'."""
    path = root / damages.VOXELS
    damages.change_table(damages.turn_and_number_voxels)(path)
    checks = open_dataset(raw_files.things_settings(root)).check("sub-01")
    found = next(check for check in checks if "VoxelMetadata" in str(check.path))
    assert found.status == "ok"
    assert "not in a brain mask's order" in found.found
