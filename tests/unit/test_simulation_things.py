"""The simulated THINGS-fMRI against a description of the release, read by other means."""

import csv
import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from afterimage.errors import InputError
from afterimage.simulation.brain import flat_features
from afterimage.simulation.scenes import DEFINITIONS
from afterimage.simulation.things_files import write_responses, write_things
from afterimage.simulation.truth import scene_from_json

SETTINGS = {
    "seed": 2,
    "voxels": {
        "V1": 12, "V2": 10, "V3": 8, "hV4": 8, "VO1": 8, "VO2": 6, "TO1": 6, "TO2": 6,
        "FFA": 14, "PPA": 10, "LOC": 12,
    },
    "train_images": 48,
    "test_images": 6,
    "sessions": 12,
    "runs": 2,
    "picture_size": 40,
}  # fmt: skip
SUBJECTS = ("sub-01", "sub-02")
N_TRIALS = 48 + 6 * 12


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("things")
    truth = {subject: folder / f"truth/{subject}.npz" for subject in SUBJECTS}
    write_things(folder / "raw", truth, SETTINGS)
    return folder


def table(study, subject, name) -> pd.DataFrame:
    return pd.read_csv(study / f"raw/betas_csv/{subject}_{name}.csv")


def values(study, subject) -> np.ndarray:
    with h5py.File(study / f"raw/betas_csv/{subject}_ResponseData.h5") as file:
        return file["ResponseData/block0_values"][()]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_responses_are_a_pandas_frame_of_voxels_by_trials(study, subject):
    path = study / f"raw/betas_csv/{subject}_ResponseData.h5"
    n_voxels = len(table(study, subject, "VoxelMetadata"))
    with h5py.File(path) as file:
        group = file["ResponseData"]
        assert group.attrs["pandas_type"] == b"frame"
        assert group.attrs["nblocks"] == 2
        assert group["block0_values"].shape == (n_voxels, N_TRIALS)
        assert group["block0_values"].dtype == np.float64
        assert group["block1_values"].shape == (n_voxels, 1)
        assert np.array_equal(group["block1_values"][:, 0], np.arange(n_voxels))
    frame = pd.read_hdf(path, key="ResponseData")
    assert frame.columns.tolist() == ["voxel_id", *range(N_TRIALS)]
    assert np.array_equal(frame.drop(columns="voxel_id").to_numpy(), values(study, subject))


def test_the_other_order_of_blocks(tmp_path):
    data = np.random.default_rng(0).normal(size=(5, 3))
    write_responses(tmp_path / "other.h5", data, release_order=False)
    with h5py.File(tmp_path / "other.h5") as file:
        assert np.array_equal(file["ResponseData/block1_values"][()], data)
        assert file["ResponseData/block0_values"].shape == (5, 1)
    frame = pd.read_hdf(tmp_path / "other.h5", key="ResponseData")
    assert frame.columns.tolist() == ["voxel_id", 0, 1, 2]


def test_the_voxel_table_has_the_releases_columns(study):
    path = study / "raw/betas_csv/sub-01_VoxelMetadata.csv"
    columns = table(study, "sub-01", "VoxelMetadata").columns.tolist()
    assert len(columns) == len(set(columns)) == 222
    assert columns[:41] == [
        "voxel_id", "subject_id", "voxel_x", "voxel_y", "voxel_z", "nc_singletrial", "nc_testset",
        "splithalf_uncorrected", "splithalf_corrected", "prf-eccentricity", "prf-polarangle",
        "prf-rsquared", "prf-size", "V1", "V2", "V3", "hV4", "VO1", "VO2", "LO1 (prf)",
        "LO2 (prf)", "TO1", "TO2", "V3b", "V3a", "lEBA", "rEBA", "lFFA", "rFFA", "lOFA", "rOFA",
        "lSTS", "rSTS", "lPPA", "rPPA", "lRSC", "rRSC", "lTOS", "rTOS", "lLOC", "rLOC",
    ]  # fmt: skip
    assert columns[41] == "IT"
    assert all(name.startswith("glasser-") for name in columns[42:])
    assert [name for name in columns if "\n" in name] == ["glasser-p9-\n46v", "glasser-a9-\n46v"]
    with open(path, newline="") as stream:
        assert len(stream.readline().split(",")) < 222, "the header spans several lines"


@pytest.mark.parametrize("subject", SUBJECTS)
def test_voxels_are_in_c_order_and_their_regions_are_dummies(study, subject):
    rows = table(study, subject, "VoxelMetadata")
    xyz = rows[["voxel_x", "voxel_y", "voxel_z"]].to_numpy()
    assert np.array_equal(xyz, xyz[np.lexsort(xyz.T[::-1])])
    assert len(np.unique(xyz, axis=0)) == len(xyz)
    assert (rows["voxel_id"] == np.arange(len(rows))).all()
    assert (rows["subject_id"] == int(subject[-2:])).all()
    dummies = rows.iloc[:, 13:]
    assert set(np.unique(dummies)) == {0, 1}
    sizes = SETTINGS["voxels"]
    for region in ("V1", "V2", "V3", "hV4", "VO1", "VO2", "TO1", "TO2"):
        assert rows[region].sum() == sizes[region]
    assert (rows["V1"] == rows["glasser-V1"]).all()
    middle = (xyz[:, 0].max() + xyz[:, 0].min()) / 2
    for region in ("FFA", "PPA", "LOC"):
        assert rows[f"l{region}"].sum() + rows[f"r{region}"].sum() >= sizes[region]
        assert xyz[rows[f"l{region}"] == 1, 0].max() <= middle + 1
        assert xyz[rows[f"r{region}"] == 1, 0].min() >= middle - 1
    assert (rows["lLOC"] & rows["lFFA"]).sum() == (rows["rLOC"] & rows["rFFA"]).sum() == 4
    assert dummies[["lSTS", "rSTS", "lEBA"]].to_numpy().sum() == 0, "not every region was found"
    assert rows["prf-eccentricity"].notna().sum() == 38


@pytest.mark.parametrize("subject", SUBJECTS)
def test_trials(study, subject):
    rows = table(study, subject, "StimulusMetadata")
    assert rows.columns.tolist() == [
        "trial_type", "session", "run", "subject_id", "trial_id", "stimulus", "concept",
    ]  # fmt: skip
    assert (rows["trial_id"] == np.arange(N_TRIALS)).all()
    keys = list(zip(rows["session"], rows["run"], strict=True))
    assert keys == sorted(keys)
    assert (
        rows.groupby(["session", "run", "trial_type"]).size().unstack().to_numpy().tolist()
        == [[3, 2]] * 24
    ), "three test and two training trials a run"
    train = rows[rows["trial_type"] == "train"]
    test = rows[rows["trial_type"] == "test"]
    assert train["stimulus"].is_unique
    assert len(train) == 48
    assert (test.groupby("stimulus")["session"].nunique() == 12).all()
    assert test.groupby("stimulus").size().tolist() == [12] * 6
    assert not set(train["stimulus"]) & set(test["stimulus"])
    assert set(test["concept"]) <= set(train["concept"])
    stems = rows["stimulus"].str.rsplit(".", n=1).str[0]
    assert (stems.str.rsplit("_", n=1).str[0] == rows["concept"]).all()
    order = [list(group["trial_type"]) for _, group in rows.groupby(["session", "run"])]
    assert len({tuple(run) for run in order}) > 3, "test and training trials are mixed"


def test_subjects_see_the_same_pictures_in_their_own_order(study):
    one, two = (table(study, subject, "StimulusMetadata") for subject in SUBJECTS)
    for part in ("train", "test"):
        sets = [set(rows.loc[rows["trial_type"] == part, "stimulus"]) for rows in (one, two)]
        assert sets[0] == sets[1]
    assert one["stimulus"].tolist() != two["stimulus"].tolist()


def test_pictures_are_jpegs_in_a_folder_per_concept(study):
    rows = table(study, "sub-01", "StimulusMetadata").drop_duplicates("stimulus")
    folder = study / "raw/images/object_images"
    for concept, name in zip(rows["concept"], rows["stimulus"], strict=True):
        with Image.open(folder / concept / name) as picture:
            assert picture.format == "JPEG"
            assert picture.size == (40, 40)
            assert picture.mode == "RGB"
    assert len(list(folder.rglob("*.jpg"))) == len(rows)


def test_concepts_join_by_unique_id_and_not_by_word(study):
    raw = (study / "raw/things_concepts.tsv").read_bytes()
    assert raw.count(b"\r\n") == raw.count(b"\n")
    with open(study / "raw/things_concepts.tsv", newline="") as stream:
        header, *rows = csv.reader(stream, delimiter="\t")
    assert len(header) == 25
    assert all(len(row) == 25 for row in rows)
    concepts = [dict(zip(header, row, strict=True)) for row in rows]
    definition = "Definition (from WordNet, Google, or Wikipedia)"
    by_id = {concept["uniqueID"]: concept[definition] for concept in concepts}
    assert len(by_id) == len(concepts)
    assert {name: by_id[name] for name in DEFINITIONS} == DEFINITIONS
    assert len({concept["Word"] for concept in concepts}) < len(concepts)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_responses_are_the_truths_answers_plus_its_noise(study, subject):
    with np.load(study / f"truth/{subject}.npz", allow_pickle=False) as truth:
        stored = {name: truth[name] for name in truth.files}
    scenes = {
        name: scene_from_json(text)
        for name, text in zip(stored["image_id"].tolist(), stored["scene"].tolist(), strict=True)
    }
    assert all(json.loads(text)["things"] for text in stored["scene"].tolist())
    rows = table(study, subject, "StimulusMetadata")
    stems = rows["stimulus"].str.removesuffix(".jpg")
    assert all(scenes[s].things[0].kind == c for s, c in zip(stems, rows["concept"], strict=True))
    features = flat_features([scenes[stem] for stem in stems])
    voxels = table(study, subject, "VoxelMetadata")[["voxel_x", "voxel_y", "voxel_z"]]
    row_at = {tuple(xyz): row for row, xyz in enumerate(voxels.to_numpy().tolist())}
    mine = [row_at[tuple(xyz)] for xyz in stored["xyz"].tolist()]
    assert np.array_equal(stored["position"], stored["xyz"])
    expected = features @ stored["B"].T + stored["baseline"] - stored["gain"] * stored["centre"]
    residual = (values(study, subject)[mine].T - expected) / stored["noise_sd"]
    assert abs(residual.mean()) < 0.03
    assert 0.97 < residual.std() < 1.03


def test_noise_ceilings_are_percent_from_the_repeats(study):
    rows, trials = (table(study, "sub-01", name) for name in ("VoxelMetadata", "StimulusMetadata"))
    test = trials[trials["trial_type"] == "test"]
    found = values(study, "sub-01")
    repeats = np.stack([found[:, group.index] for _, group in test.groupby("stimulus")])
    noise = repeats.var(2, ddof=1).mean(0)
    signal = np.maximum(repeats.mean(2).var(0, ddof=1) - noise / 12, 0)
    np.testing.assert_allclose(rows["nc_testset"], 100 * signal / (signal + noise / 12), atol=1e-6)
    np.testing.assert_allclose(rows["nc_singletrial"], 100 * signal / (signal + noise), atol=1e-6)
    assert rows["nc_testset"].max() > 10


def test_settings_that_do_not_fit_are_said_in_one_line(tmp_path):
    for change, message in (
        ({"train_images": 50}, "train_images"),
        ({"test_images": 5}, "test_images"),
        ({"voxels": {"FFB": 3}}, "FFB"),
    ):
        with pytest.raises(InputError, match=message):
            write_things(tmp_path / "raw", {"sub-01": tmp_path / "t.npz"}, {**SETTINGS, **change})
        assert not (tmp_path / "raw").exists()
    with pytest.raises(InputError, match="subj01"):
        write_things(tmp_path / "raw", {"subj01": tmp_path / "t.npz"}, SETTINGS)


def test_real_tables_have_the_same_columns(real_data, study):
    ours = table(study, "sub-01", "StimulusMetadata")
    theirs = pd.read_csv(real_data / "things/sub-01_StimulusMetadata.csv")
    assert ours.columns.tolist() == theirs.columns.tolist()
    assert (ours.dtypes == theirs.dtypes).all()
    assert set(theirs["trial_type"]) == set(ours["trial_type"])
    with open(real_data / "things/things_concepts.tsv", "rb") as stream:
        header = stream.readline()
    assert (study / "raw/things_concepts.tsv").read_bytes().startswith(header)
