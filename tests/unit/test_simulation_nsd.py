"""The simulated NSD against a description of the release, read by other means than the project's.

Nothing of the readers is used here: h5py, scipy, nibabel, pandas and json open the files.
"""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pandas as pd
import pytest
from scipy.io import loadmat

from afterimage.errors import InputError
from afterimage.simulation.brain import build_brain, flat_features
from afterimage.simulation.head import build_head
from afterimage.simulation.nsd_design import _memory, build_design, run_lengths
from afterimage.simulation.nsd_files import write_nsd
from afterimage.simulation.nsd_volumes import BetasWriter
from afterimage.simulation.scenes import sample_scene

SETTINGS = {
    "seed": 4,
    "ncsnr": 0.4,
    "voxels": {"V1": 16, "V2": 14, "V3": 12, "V4": 10, "ventral": 24},
    "images": 48,
    "shared_images": 6,
    "trials_per_session": 36,
    "sessions": 3,
    "picture_size": 40,
    "betas_format": "both",
}
SUBJECTS = ("subj01", "subj05")
FOLDER = "func1pt8mm/betas_fithrf_GLMdenoise_RR"


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("nsd")
    truth = {subject: folder / f"truth/{subject}.npz" for subject in SUBJECTS}
    write_nsd(folder / "raw", truth, SETTINGS)
    return folder


@pytest.fixture(scope="module")
def design(study) -> dict[str, np.ndarray]:
    found = loadmat(study / "raw/nsddata/experiments/nsd/nsd_expdesign.mat")
    return {name: value for name, value in found.items() if not name.startswith("__")}


def picture_of_trial(design, subject: int) -> np.ndarray:
    order = design["masterordering"][0].astype(int)
    return design["subjectim"].astype(int)[subject - 1, order - 1] - 1


def roi(study, subject, name):
    image = nibabel.load(study / f"raw/nsddata/ppdata/{subject}/func1pt8mm/roi/{name}.nii.gz")
    return image, np.asarray(image.dataobj)


def betas(study, subject, session):
    path = study / f"raw/nsddata_betas/ppdata/{subject}/{FOLDER}/betas_session{session:02d}.hdf5"
    with h5py.File(path) as file:
        assert list(file) == ["betas"]
        return file["betas"].chunks, file["betas"][()]


def test_the_design_has_the_releases_variables(design):
    kinds = {name: (value.dtype, value.shape) for name, value in design.items()}
    assert kinds == {
        "masterordering": (np.uint16, (1, 144)),
        "basiccnt": (np.uint16, (3, 4)),
        "sharedix": (np.int32, (1, 6)),
        "subjectim": (np.int32, (8, 48)),
        "stimpattern": (np.uint8, (4, 12, 75)),
    }


def test_the_design_counts_from_one_and_shares_the_first_pictures(design):
    order, pictures = design["masterordering"][0], design["subjectim"].astype(int)
    numbers, times = np.unique(order, return_counts=True)
    assert numbers.tolist() == list(range(1, 49))
    assert set(times) == {3}
    assert (pictures[:, :6] == design["sharedix"]).all()
    assert (np.diff(design["sharedix"][0]) > 0).all()
    n = 6 + 8 * 42
    assert sorted(set(pictures.ravel())) == list(range(1, n + 1))
    assert len(set(pictures[:, 6:].ravel())) == 8 * 42
    assert design["stimpattern"].sum((1, 2)).tolist() == [36] * 4
    times_shown = np.arange(1, 4) @ design["basiccnt"].astype(int)
    assert times_shown.tolist() == [36] * 4


def test_test_and_training_pictures_are_mixed_in_every_session(design):
    shared = (design["masterordering"][0] <= 6).reshape(4, 36)
    assert shared[:3].sum() == 18, "every showing of a shared picture is scanned"
    assert (shared[:3].sum(1) > 0).all()
    assert (~shared[:3]).sum(1).min() > 0


@pytest.mark.parametrize("subject", SUBJECTS)
def test_responses_follow_the_design(study, design, subject):
    path = study / f"raw/nsddata/ppdata/{subject}/behav/responses.tsv"
    rows = pd.read_csv(path, sep="\t")
    names = (
        "SUBJECT SESSION RUN TRIAL 73KID 10KID TIME ISOLD ISCORRECT RT CHANGEMIND MEMORYRECENT "
        "MEMORYFIRST ISOLDCURRENT ISCORRECTCURRENT TOTAL1 TOTAL2 BUTTON MISSINGDATA"
    ).split()
    assert path.read_text().splitlines()[0].split("\t") == names
    assert rows.shape == (108, 19)
    assert "NaN" in path.read_text()
    number = int(subject[-2:])
    assert (rows["SUBJECT"] == number).all()
    assert (rows["10KID"] == design["masterordering"][0, :108]).all()
    assert (rows["73KID"] == picture_of_trial(design, number)[:108] + 1).all()
    assert rows["SESSION"].tolist() == [s for s in (1, 2, 3) for _ in range(36)]
    assert rows.groupby(["SESSION", "RUN"]).size().tolist() == [3] * 36
    assert rows.groupby(["SESSION", "RUN"])["TRIAL"].max().tolist() == [3] * 36
    assert (rows["TIME"].diff()[1:] > 0).all()
    assert (rows["ISOLD"] == rows["10KID"].duplicated()).all()
    assert (rows["MEMORYRECENT"].isna() == (rows["ISOLD"] == 0)).all()
    assert (rows["MISSINGDATA"] == 0).all()


def test_run_lengths_are_the_releases_at_its_size():
    assert run_lengths(750) == [63, 62] * 6
    assert sum(run_lengths(241)) == 241


@pytest.mark.parametrize("subject", SUBJECTS)
def test_betas_are_stored_as_in_the_release(study, subject):
    _, labels = roi(study, subject, "streams")
    for session in (1, 2, 3):
        chunks, values = betas(study, subject, session)
        assert values.dtype == np.int16
        assert values.shape == (36, *labels.shape[::-1])
        assert chunks == (36, 1, 1, 1)
        path = study / f"raw/nsddata_betas/ppdata/{subject}/{FOLDER}/betas_session{session:02d}"
        image = nibabel.load(f"{path}.nii.gz")
        stored = np.asarray(image.dataobj)
        assert stored.dtype == np.int16, "no slope: the integers themselves"
        assert np.array_equal(stored.transpose(3, 2, 1, 0), values)


def test_subjects_have_grids_and_brains_of_their_own(study):
    one, other = (betas(study, subject, 1)[1] for subject in SUBJECTS)
    assert one.shape != other.shape or not np.array_equal(one, other)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_region_volumes_follow_the_convention(study, subject):
    mask = nibabel.load(study / f"raw/nsddata/ppdata/{subject}/func1pt8mm/brainmask.nii.gz")
    brain = np.asarray(mask.dataobj) > 0
    for name, numbers in (
        ("HCP_MMP1", {1: 16, 4: 14, 5: 12, 6: 10, 2: 16, 3: 16}),
        ("streams", {1: 42, 2: 10, 5: 24, 6: 16, 7: 16}),
        ("nsdgeneral", {1: 76}),
        ("prf-visualrois", {7: 10}),
    ):
        image, labels = roi(study, subject, name)
        assert image.get_data_dtype() == np.float64
        assert np.allclose(image.header.get_zooms()[:3], 1.8)
        centre = image.affine @ [*(np.array(labels.shape) - 1) / 2, 1]
        assert np.allclose(centre[:3], 0, atol=1e-4), "the origin is the volume's centre"
        assert set(np.unique(labels)) >= {-1, 0}
        assert {k: int((labels == k).sum()) for k in numbers} == numbers
        assert (labels[~brain] == -1).all()
        halves = [roi(study, subject, f"{side}.{name}")[1] for side in ("lh", "rh")]
        assert ((halves[0] >= 0) & (halves[1] >= 0)).sum() == 0
        assert np.array_equal(np.maximum(*halves), labels)
        x = np.argwhere(halves[0] > 0)[:, 0]
        assert (x < labels.shape[0] / 2).all(), "the first voxel is the leftmost"
    _, areas = roi(study, subject, "prf-visualrois")
    _, parcels = roi(study, subject, "HCP_MMP1")
    assert np.array_equal(np.isin(areas, (1, 2)), parcels == 1)
    ventral, dorsal = (np.argwhere(areas == k)[:, 2].mean() for k in (1, 2))
    assert ventral < dorsal


def test_label_tables(study):
    folder = study / "raw/nsddata/freesurfer"
    for owner in ("subj01", "subj05", "fsaverage"):
        rows = (folder / owner / "label/streams.mgz.ctab").read_text().splitlines()
        assert rows[:2] == ["0 Unknown", "1 early"]
        assert rows[5] == "5 ventral"
        rows = (folder / owner / "label/HCP_MMP1.mgz.ctab").read_text().splitlines()
        assert len(rows) == 181
        assert [rows[k] for k in (1, 4, 5, 6, 18)] == ["1 V1", "4 V2", "5 V3", "6 V4", "18 FFC"]
        drawn = folder / owner / "label/prf-visualrois.mgz.ctab"
        assert drawn.exists() == (owner != "fsaverage")


def test_the_stimulus_table_agrees_with_the_design(study, design):
    table = pd.read_csv(study / "raw/nsddata/experiments/nsd/nsd_stim_info_merged.csv")
    n = 6 + 8 * 42
    assert table.shape == (n, 41)
    assert table.columns[0].startswith("Unnamed")
    assert (table["nsdId"] == np.arange(n)).all()
    assert (table.iloc[:, 0] == np.arange(n)).all()
    assert table["cocoId"].is_unique
    assert (table.loc[table["shared1000"], "nsdId"] + 1).tolist() == design["sharedix"][0].tolist()
    assert (table.loc[table["shared1000"], "cocoSplit"] == "train2017").all()
    split = table["cocoSplit"].tolist()
    assert split == sorted(split, reverse=True), "val2017 comes first"
    for box in table["cropBox"][:50]:
        assert sum(float(side) == 0 for side in box.strip("()").split(",")) >= 2
    for subject in range(1, 9):
        shown = picture_of_trial(design, subject)
        repeats = table[[f"subject{subject}_rep{r}" for r in range(3)]].to_numpy()
        assert ((repeats > 0).all(1) == (table[f"subject{subject}"] == 1)).all()
        for picture in np.unique(shown)[:10]:
            assert repeats[picture].tolist() == (np.flatnonzero(shown == picture) + 1).tolist()


def test_pictures_and_captions(study, design):
    root = study / "raw/nsddata_stimuli/stimuli/nsd"
    table = pd.read_csv(study / "raw/nsddata/experiments/nsd/nsd_stim_info_merged.csv")
    with h5py.File(root / "nsd_stimuli.hdf5") as file:
        assert list(file) == ["imgBrick"]
        brick = file["imgBrick"]
        assert brick.shape == (6 + 8 * 42, 40, 40, 3)
        assert brick.dtype == np.uint8
        for subject in (1, 5):
            for picture in np.unique(picture_of_trial(design, subject)):
                assert len(np.unique(brick[int(picture)].reshape(-1, 3), axis=0)) > 3
    seen = set()
    for split in ("train2017", "val2017"):
        content = json.loads((root / f"annotations/captions_{split}.json").read_text())
        assert set(content) == {"info", "licenses", "images", "annotations"}
        assert set(content["images"][0]) >= {"id", "file_name", "height", "width", "coco_url"}
        notes = pd.DataFrame(content["annotations"])
        assert set(notes) == {"image_id", "id", "caption"}
        assert notes["id"].is_unique
        members = table.loc[table["cocoSplit"] == split, "cocoId"]
        assert set(notes["image_id"]) == set(members) == {i["id"] for i in content["images"]}
        counts = notes.groupby("image_id").size()
        assert sorted(counts.unique()) == [5, 6]
        assert (counts == 6).sum() == 1
        assert not notes["image_id"].is_monotonic_increasing
        assert notes["caption"].str.split().str.len().max() <= 13
        seen |= set(notes["image_id"])
    assert len(seen) == len(table)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_betas_are_the_truths_answers_to_the_pictures_plus_its_noise(study, design, subject):
    """Row i of session s belongs to trial 36 (s - 1) + i, and is B f + noise, times 300."""
    with np.load(study / f"truth/{subject}.npz", allow_pickle=False) as truth:
        stored = {name: truth[name] for name in truth.files}
    scenes = dict(zip(stored["image_id"].tolist(), map(json.loads, stored["scene"]), strict=True))
    shown = picture_of_trial(design, int(subject[-2:]))[:108].astype(str)
    assert set(scenes) == set(shown)
    from afterimage.simulation.truth import scene_from_json

    features = flat_features([scene_from_json(json.dumps(scenes[name])) for name in shown])
    x, y, z = stored["xyz"].T
    values = np.concatenate([betas(study, subject, s)[1][:, z, y, x] for s in (1, 2, 3)]) / 300
    offset = stored["baseline"] - stored["gain"] * stored["centre"]
    expected = features @ stored["B"].T + offset
    residual = (values - expected) / stored["noise_sd"]
    assert abs(residual.mean()) < 0.02
    assert 0.97 < residual.std() < 1.03
    shifted = (np.roll(values, 1, axis=0) - expected) / stored["noise_sd"]
    assert shifted.std() > residual.std() + 0.05, "another order of trials does not fit"
    _, parcels = roi(study, subject, "HCP_MMP1")
    for region, number in (("V1", 1), ("V2", 4), ("V3", 5), ("V4", 6)):
        mine = stored["xyz"][stored["region"] == region]
        assert (parcels[tuple(mine.T)] == number).all()


def test_without_noise_the_integers_are_300_times_the_linear_model(tmp_path):
    rng = np.random.default_rng(0)
    features = flat_features([sample_scene(rng) for _ in range(12)])
    head = build_head({"V1": 12, "V4": 9, "ventral": 10}, rng)
    brain = build_brain("linear", head, features, 0.4, 1.0, rng)
    silent = replace(brain, noise_sd=np.zeros_like(brain.noise_sd))
    writer = BetasWriter(tmp_path, "subj01", head, silent, "hdf5")
    writer.write(1, features, np.random.default_rng(1))
    path = next(tmp_path.rglob("betas_session01.hdf5"))
    with h5py.File(path) as file:
        found = file["betas"][()]
    x, y, z = brain.xyz.T
    matrix = brain.gain[:, None] * brain.weights
    expected = brain.baseline + (features - features.mean(0)) @ matrix.T
    assert np.abs(found[:, z, y, x] / 300 - expected).max() <= 0.5 / 300 + 1e-4
    assert (found[:, ~head.brain.T] == 0).all()


def test_the_noise_ceiling_file(study):
    path = study / f"raw/nsddata_betas/ppdata/subj01/{FOLDER}/ncsnr.nii.gz"
    image = nibabel.load(path)
    values = np.asarray(image.dataobj)
    mask = nibabel.load(study / "raw/nsddata/ppdata/subj01/func1pt8mm/brainmask.nii.gz")
    brain = np.asarray(mask.dataobj) > 0
    assert image.get_data_dtype() == np.float32
    assert np.isnan(values[~brain]).all()
    assert (values[brain] >= 0).all()


def test_the_same_seed_writes_the_same_study(study, tmp_path):
    again = {**SETTINGS, "betas_format": "hdf5"}
    write_nsd(tmp_path / "raw", {"subj01": tmp_path / "subj01.npz"}, again)
    with np.load(study / "truth/subj01.npz") as one, np.load(tmp_path / "subj01.npz") as two:
        assert all(np.array_equal(one[k], two[k], equal_nan=k == "field") for k in one.files)
    name = f"nsddata_betas/ppdata/subj01/{FOLDER}/betas_session02.hdf5"
    with h5py.File(study / "raw" / name) as one, h5py.File(tmp_path / "raw" / name) as two:
        assert np.array_equal(one["betas"][()], two["betas"][()])
    assert not list(tmp_path.glob(".*")), "nothing temporary stays"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": 50}, "whole sessions"),
        ({"sessions": 5}, "at least 5"),
        ({"shared_images": 48}, "shared_images"),
        ({"betas_format": "mat"}, "hdf5, nifti, both"),
    ],
)
def test_settings_that_do_not_fit_are_said_in_one_line(tmp_path, change, message):
    with pytest.raises(InputError, match=message) as caught:
        write_nsd(tmp_path / "raw", {"subj01": tmp_path / "t.npz"}, {**SETTINGS, **change})
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "raw").exists()


def test_an_unknown_subject_is_named(tmp_path):
    with pytest.raises(InputError, match="subj09"):
        write_nsd(tmp_path / "raw", {"subj09": tmp_path / "t.npz"}, SETTINGS)


def test_the_design_at_the_releases_size_agrees_with_the_real_one(real_data):
    """Shapes, types and ranges of the real design, and its counts of session lengths."""
    real = loadmat(real_data / "nsd/nsd_expdesign.mat")
    made = build_design(10_000, 1_000, 750, 40, np.random.default_rng(0))
    assert made.masterordering[None].shape == real["masterordering"].shape
    assert made.subjectim.shape == real["subjectim"].shape
    assert made.subjectim.max() == real["subjectim"].max() == 73_000
    assert made.basiccnt().shape == real["basiccnt"].shape
    assert made.stimpattern.shape == real["stimpattern"].shape
    assert made.stimpattern.dtype == real["stimpattern"].dtype
    assert (made.stimpattern.sum(2) == real["stimpattern"].sum(2)).all()
    sessions = real["masterordering"].reshape(40, 750)
    times = [np.unique(session, return_counts=True)[1] for session in sessions]
    counted = [[(t == k).sum() for t in times] for k in (1, 2, 3)]
    assert np.array_equal(counted, real["basiccnt"]), "what basiccnt means"
    assert abs(made.n_from_validation - 2_900) < 100


def test_real_files_have_the_same_columns_and_types(real_data, study, design):
    real = loadmat(real_data / "nsd/nsd_expdesign.mat")
    for name, value in design.items():
        assert (value.dtype, value.ndim) == (real[name].dtype, real[name].ndim), name
    ours = pd.read_csv(study / "raw/nsddata/experiments/nsd/nsd_stim_info_merged.csv", nrows=3)
    theirs = pd.read_csv(real_data / "nsd/nsd_stim_info_reconstructed_partial.csv", nrows=3)
    assert ours.columns.tolist() == theirs.columns.tolist()
    ours = pd.read_csv(study / "raw/nsddata/ppdata/subj01/behav/responses.tsv", sep="\t")
    theirs = pd.read_csv(real_data / "nsd/subj01_responses_resaved.tsv", sep="\t", index_col=0)
    assert ours.columns.tolist() == theirs.columns.tolist()[:-1]
    folder = study / "raw/nsddata/freesurfer/fsaverage/label"
    ctab = (folder / "HCP_MMP1.mgz.ctab").read_text()
    assert ctab == (real_data / "nsd/HCP_MMP1.mgz.ctab").read_text()


def test_memory_columns_mean_what_the_real_ones_do(real_data):
    rows = pd.read_csv(real_data / "nsd/subj01_responses_resaved.tsv", sep="\t", index_col=0)
    recent, first, old_today = _memory(rows["10KID"].to_numpy(), rows["SESSION"].to_numpy())
    np.testing.assert_array_equal(recent, rows["MEMORYRECENT"])
    np.testing.assert_array_equal(first, rows["MEMORYFIRST"])
    np.testing.assert_array_equal(old_today, rows["ISOLDCURRENT"] == 1)
