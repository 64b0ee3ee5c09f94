"""NSD's reader, on files written from the release's description and on the real metadata."""

import gzip

import h5py
import numpy as np
import pytest

from afterimage.datasets import nsd_betas, nsd_hdf5, open_dataset, parts
from afterimage.datasets.nsd_betas import describe_betas, read_betas, sample_betas
from afterimage.datasets.nsd_files import needed_objects
from afterimage.datasets.nsd_regions import (
    label_numbers,
    read_label_table,
)
from afterimage.errors import InputError
from tests import raw_files


@pytest.fixture
def root(tmp_path):
    raw_files.write_nsd(tmp_path / "nsd")
    return tmp_path / "nsd"


@pytest.fixture
def data(root):
    return open_dataset(raw_files.nsd_settings(root))


def test_trials_have_zero_based_ids_and_official_splits(data):
    trials = data.trials("subj01")
    assert trials["trial"].tolist() == list(range(12))
    assert trials["session"].tolist() == [1] * 6 + [2] * 6
    assert trials["run"].tolist() == [1, 1, 1, 2, 2, 2] * 2
    assert trials["part"].tolist() == ["session01"] * 6 + ["session02"] * 6
    assert trials["row"].tolist() == list(range(6)) * 2
    assert trials["image_id"].tolist() == [str(i) for i in raw_files.IMAGE_OF_TRIAL]
    shared = [str(i - 1) for i in raw_files.SHARED]
    expected = ["test" if i in shared else "train" for i in trials["image_id"]]
    assert trials["official"].tolist() == expected


def test_a_range_of_sessions_keeps_chronological_trial_numbers(root):
    settings = raw_files.nsd_settings(root) | {"sessions": [2, 2]}
    trials = open_dataset(settings).trials("subj01")
    assert trials["trial"].tolist() == list(range(6, 12))
    assert trials["row"].tolist() == list(range(6))
    assert set(trials["part"]) == {"session02"}


def test_trials_do_not_need_the_behaviour(root):
    (root / "nsddata/ppdata/subj01/behav/responses.tsv").unlink()
    trials = open_dataset(raw_files.nsd_settings(root)).trials("subj01")
    assert trials["run"].tolist() == [1, 1, 1, 2, 2, 2] * 2


@pytest.mark.parametrize(
    ("hemisphere", "prefix"), [("both", ""), ("left", "lh."), ("right", "rh.")]
)
def test_voxels_are_those_of_the_labels_wherever_they_are(root, hemisphere, prefix):
    labels = raw_files.hcp_labels()
    if prefix:
        middle = np.arange(5)[:, None, None] >= (2 if hemisphere == "right" else 0)
        labels = np.where(middle, labels, -1.0)
        raw_files.write_volume(root / raw_files.NSD_ROI / f"{prefix}HCP_MMP1.nii.gz", labels)
    settings = raw_files.nsd_settings(root) | {"hemisphere": hemisphere}
    voxels = open_dataset(settings).voxels("subj01", "lower")
    expected = [
        (region, x, y, z)
        for region, number in (("V1", 1), ("V4", 6))
        for z in range(3)
        for y in range(4)
        for x in range(5)
        if labels[x, y, z] == number
    ]
    assert voxels.roi.tolist() == [region for region, *_ in expected]
    assert voxels.index.tolist() == [x + 5 * (y + 4 * z) for _, x, y, z in expected]
    millimetres = np.array([place for _, *place in expected]) * 1.8 + [-3.6, -2.7, -1.8]
    np.testing.assert_allclose(voxels.xyz, millimetres, atol=1e-5)


ATLASES = {  # labels by number from 1, as the release's tables have them
    "floc-faces": "OFA FFA-1 FFA-2 mTL-faces aTL-faces",
    "floc-places": "OPA PPA RSC",
    "floc-bodies": "EBA FBA-1 FBA-2 mTL-bodies",
    "prf-visualrois": "V1v V1d V2v V2d V3v V3d hV4",
    "streams": "early midventral midlateral midparietal ventral lateral parietal",
    "nsdgeneral": "nsdgeneral",
}


@pytest.mark.parametrize("hemisphere", ["both", "left", "right"])
@pytest.mark.parametrize("atlas", ATLASES)
def test_regions_of_any_atlas_by_name_left_right_or_both(root, atlas, hemisphere):
    """Drawn atlases have their table in the subject's folder alone; 0 and -1 are never chosen."""
    names = ATLASES[atlas].split()
    rng = np.random.default_rng(0)
    labels = rng.integers(-1, len(names) + 1, raw_files.NSD_GRID).astype(float)
    labels[0, 0, 0] = labels[4, 0, 0] = len(names)
    left = np.broadcast_to(np.arange(5)[:, None, None] < 2, labels.shape)
    for prefix, mine in (("", left | ~left), ("lh.", left), ("rh.", ~left)):
        path = root / raw_files.NSD_ROI / f"{prefix}{atlas}.nii.gz"
        raw_files.write_volume(path, np.where(mine, labels, -1.0))
    lines = "".join(f"{number} {name}\n" for number, name in enumerate(["Unknown", *names]))
    (root / f"nsddata/freesurfer/subj01/label/{atlas}.mgz.ctab").write_text(lines)
    settings = raw_files.nsd_settings(root) | {"hemisphere": hemisphere}
    settings["areas"]["lower"] = {"regions": {"R": {"atlas": atlas, "labels": names[-1:]}}}
    found = open_dataset(settings).voxels("subj01", "lower").index
    chosen = labels == len(names)
    chosen &= {"both": left | ~left, "left": left, "right": ~left}[hemisphere]
    assert found.tolist() == np.flatnonzero(chosen.transpose(2, 1, 0)).tolist()
    wanted = {key for keys in needed_objects(settings) for key in keys}
    side = {"both": "", "left": "lh.", "right": "rh."}[hemisphere]
    assert f"{raw_files.NSD_ROI}/{side}{atlas}.nii.gz" in wanted


def test_both_hemispheres_from_two_halves(root):
    whole = raw_files.hcp_labels()
    left = np.arange(5)[:, None, None] < 2
    folder = root / raw_files.NSD_ROI
    expected = open_dataset(raw_files.nsd_settings(root)).voxels("subj01", "lower").index
    raw_files.write_volume(folder / "lh.HCP_MMP1.nii.gz", np.where(left, whole, -1.0))
    raw_files.write_volume(folder / "rh.HCP_MMP1.nii.gz", np.where(left, -1.0, whole))
    (folder / "HCP_MMP1.nii.gz").unlink()
    found = open_dataset(raw_files.nsd_settings(root)).voxels("subj01", "lower").index
    assert found.tolist() == expected.tolist()


def test_a_region_without_labels_is_every_label_but_not_the_cortex_around(root):
    settings = raw_files.nsd_settings(root)
    settings["areas"]["lower"]["regions"] = {"all": {"atlas": "HCP_MMP1"}}
    voxels = open_dataset(settings).voxels("subj01", "lower")
    assert len(voxels.index) == (raw_files.hcp_labels() > 0).sum() == 6


def test_a_voxel_of_two_regions_counts_once_and_is_reported(root):
    settings = raw_files.nsd_settings(root)
    settings["areas"]["lower"] = {
        "regions": {
            "early": {"atlas": "streams", "labels": ["early"]},
            "V1": {"atlas": "HCP_MMP1", "labels": ["V1"]},
        },
        "expected_voxels": 4,
    }
    voxels = open_dataset(settings).voxels("subj01", "lower")
    assert voxels.roi.tolist() == ["early", "V1", "V1"]
    assert len(set(voxels.index.tolist())) == 3
    assert "4 counted per region: 1 in more than one" in voxels.notes[0]
    assert "reports 4" in voxels.notes[0]


def test_label_names_that_look_like_numbers_stay_names(tmp_path):
    table = tmp_path / "HCP_MMP1.mgz.ctab"
    table.write_text("0 Unknown\r\n1 V1\t\r\n\r\n4 V2 \r\n53 4\r\n")
    assert label_numbers(table, [4]) == [53]
    assert read_label_table(table) == {"Unknown": 0, "V1": 1, "V2": 4, "4": 53}


ROWS = np.array([5, 0, 3])
STORAGES = {
    "a chunk per voxel": {},
    "gzip and shuffle": {"compression": "gzip", "shuffle": True},
    "fletcher32": {"fletcher32": True},
    "contiguous": {"chunks": None},
    "other chunks": {"chunks": (2, 3, 2, 2)},
    "packed other chunks": {"chunks": (4, 1, 4, 5), "compression": "gzip"},
    "half the trials a chunk": {"chunks": (3, 1, 1, 1)},
    "a chunk per trial": {"chunks": (1, 3, 4, 5)},
}


@pytest.mark.parametrize("storage", STORAGES)
def test_betas_equal_the_masked_volume_to_the_last_bit(tmp_path, storage):
    volume = raw_files.nsd_betas()[0]
    raw_files.write_betas(tmp_path / "betas_session01.hdf5", volume, **STORAGES[storage])
    index = np.array([59, 0, 17, 18, 42, 17])
    betas, saturated = read_betas(tmp_path / "betas_session01.hdf5", 6, (5, 4, 3), ROWS, index)
    with h5py.File(tmp_path / "betas_session01.hdf5") as file:
        everything = file["betas"][:].reshape(6, -1)
    expected = everything[ROWS][:, index].astype(np.float32) / np.float32(300)
    assert betas.dtype == np.float32
    assert betas.tobytes() == expected.tobytes()
    assert saturated == 0


@pytest.mark.parametrize("block_bytes", [2, 64, 500, 3000])
@pytest.mark.parametrize("storage", STORAGES)
def test_betas_in_many_blocks_are_the_same(tmp_path, monkeypatch, storage, block_bytes):
    """As at full size, where neither the voxels nor a box of trials fit into one block."""
    monkeypatch.setattr(nsd_hdf5, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(nsd_betas, "VOXELS_AT_ONCE", 3)
    rng = np.random.default_rng(0)
    volume = rng.integers(-3000, 3000, (5, 4, 3, 40)).astype(np.int16)
    options = {"chunks": (40, 1, 1, 1)} if not STORAGES[storage] else STORAGES[storage]
    raw_files.write_betas(tmp_path / "betas_session01.hdf5", volume, **options)
    index, rows = rng.choice(60, 17), rng.permutation(40)[:13]
    betas, _ = read_betas(tmp_path / "betas_session01.hdf5", 40, (5, 4, 3), rows, index)
    everything = volume.transpose(3, 2, 1, 0).reshape(40, -1)
    expected = everything[rows][:, index].astype(np.float32) / np.float32(300)
    assert betas.tobytes() == expected.tobytes()


@pytest.mark.parametrize("storage", [*STORAGES, ".nii.gz", ".nii"])
def test_sampled_betas_are_values_of_the_file_and_begin_with_its_first_trials(tmp_path, storage):
    rng = np.random.default_rng(0)
    volume = rng.integers(-3000, 3000, (5, 4, 3, 40)).astype(np.int16)
    path = tmp_path / ("session" + (storage if storage.startswith(".") else ".hdf5"))
    if storage in STORAGES:
        raw_files.write_betas(path, volume, **STORAGES[storage])
    else:
        raw_files.write_volume(path, volume)
    index = np.array([59, 0, 17, 18, 42])
    found = sample_betas(path, 40, (5, 4, 3), index)
    trials = volume.transpose(3, 2, 1, 0).reshape(40, -1)[:, index]
    every = {9: [0, 1, 2, 18, 19, 20, 37, 38, 39], 3: [0, 1, 2], 40: range(40)}[found.shape[1]]
    np.testing.assert_array_equal(found.T, trials[list(every)])


def test_halves_in_different_places_are_an_error(root):
    folder = root / raw_files.NSD_ROI
    raw_files.write_volume(folder / "lh.HCP_MMP1.nii.gz", raw_files.hcp_labels())
    raw_files.write_volume(folder / "rh.HCP_MMP1.nii.gz", raw_files.hcp_labels(), shift=1.8)
    (folder / "HCP_MMP1.nii.gz").unlink()
    data = open_dataset(raw_files.nsd_settings(root))
    with pytest.raises(InputError, match=r"rh\.HCP_MMP1.nii.gz: .* place of lh\.HCP_MMP1"):
        data.voxels("subj01", "lower")
    assert any("rh.HCP_MMP1" in check.path and check.stops for check in data.check("subj01"))


@pytest.mark.parametrize("change", [{"shift": 0.9}, {"mirror": True}])
def test_areas_in_different_places_are_an_error(root, change):
    path = root / raw_files.NSD_ROI / "streams.nii.gz"
    raw_files.write_volume(path, raw_files.stream_labels(), **change)
    data = open_dataset(raw_files.nsd_settings(root))
    data.voxels("subj01", "lower")
    with pytest.raises(InputError, match=r"streams.nii.gz: .* place of HCP_MMP1"):
        data.voxels("subj01", "higher")


@pytest.mark.parametrize("ending", [".nii.gz", ".nii"])
def test_nifti_betas_with_trials_last_give_the_same(root, data, ending):
    settings = raw_files.nsd_settings(root)
    index = data.voxels("subj01", "lower").index
    expected = data.betas("subj01", "session02", ROWS, index)
    path = root / raw_files.NSD_BETAS / "betas_session02.hdf5"
    path.unlink()
    raw_files.write_volume(path.with_suffix("").with_suffix(ending), raw_files.nsd_betas()[1])
    found = open_dataset(settings).betas("subj01", "session02", ROWS, index)
    assert found.tobytes() == expected.tobytes()


def test_betas_are_percent_signal_change_of_the_right_voxel(data):
    index = data.voxels("subj01", "higher").index
    betas = data.betas("subj01", "session01", np.array([4]), index)
    volume = raw_files.nsd_betas()[0]
    expected = [volume[3, 3, 1, 4] / 300, volume[2, 1, 2, 4] / 300]
    np.testing.assert_allclose(betas[0], expected, rtol=1e-6)


def test_saturated_values_are_kept_and_counted(root, capsys):
    volume = raw_files.nsd_betas()[0]
    volume[0, 1, 0, 2], volume[0, 1, 0, 3] = 32767, -32768
    raw_files.write_betas(root / raw_files.NSD_BETAS / "betas_session01.hdf5", volume)
    data = open_dataset(raw_files.nsd_settings(root))
    index = data.voxels("subj01", "lower").index
    betas = data.betas("subj01", "session01", np.arange(6), index)
    assert betas.max() == np.float32(32767) / np.float32(300)
    assert "2 values of 30 saturated" in capsys.readouterr().out


NEVER_WRITTEN = {
    "a chunk per voxel": {"chunks": (6, 1, 1, 1)},
    "packed": {"chunks": (6, 1, 1, 1), "compression": "gzip"},
    "half the trials a chunk": {"chunks": (3, 1, 1, 1)},
    "other chunks": {"chunks": (4, 1, 1, 2), "compression": "gzip"},
}


@pytest.mark.parametrize("storage", NEVER_WRITTEN)
def test_what_was_never_written_is_an_error_and_not_zeros(tmp_path, storage):
    """Voxels 0 and 1 are written, but of voxel 2 only some trials or none."""
    path = tmp_path / "betas_session01.hdf5"
    with h5py.File(path, "w") as file:
        betas = file.create_dataset("betas", (6, 3, 4, 5), "int16", **NEVER_WRITTEN[storage])
        betas[:, 0, 0, 0:2] = 300
        if betas.chunks[0] < 6:
            betas[:3, 0, 0, 2] = 300
    found, _ = read_betas(path, 6, (5, 4, 3), np.arange(6), np.array([0, 1]))
    assert found.tolist() == [[1.0, 1.0]] * 6
    with pytest.raises(
        InputError, match="written for every voxel, found nothing for x 2, y 0, z 0"
    ):
        read_betas(path, 6, (5, 4, 3), np.arange(6), np.array([0, 2, 1]))


def test_a_contiguous_session_that_was_never_written(tmp_path):
    with h5py.File(tmp_path / "betas_session01.hdf5", "w") as file:
        file.create_dataset("betas", (6, 3, 4, 5), "int16")
    with pytest.raises(InputError, match="written for every voxel"):
        read_betas(tmp_path / "betas_session01.hdf5", 6, (5, 4, 3), np.arange(6), np.array([0]))


def test_check_notices_a_session_of_which_parts_were_never_written(tmp_path):
    path = tmp_path / "betas_session01.hdf5"
    with h5py.File(path, "w") as file:
        betas = file.create_dataset("betas", (750, 10, 10, 10), "int16", chunks=(750, 1, 1, 1))
        betas[:, :8] = 1
    with pytest.raises(InputError, match=r"1,500,000 bytes of betas, found .*never written"):
        describe_betas(path, 750, (10, 10, 10))
    with h5py.File(path, "r+") as file:
        file["betas"][:] = 1
    assert "(750, 10, 10, 10) int16" in describe_betas(path, 750, (10, 10, 10))


@pytest.mark.parametrize("storage", [{}, {"chunks": None}])
def test_trials_that_are_zero_in_every_voxel_are_an_error(tmp_path, storage):
    path = tmp_path / "betas_session01.hdf5"
    volume = raw_files.nsd_betas()[0]
    volume[..., 4:] = 0
    raw_files.write_betas(path, volume, **storage)
    with pytest.raises(InputError, match="zero in all 4 voxels in 2 of 6 trials"):
        read_betas(path, 6, (5, 4, 3), np.arange(3), np.array([0, 2, 1, 7]))
    read_betas(path, 6, (5, 4, 3), np.arange(3), np.array([0, 2, 1]))


def test_a_black_picture_is_no_stimulus(root):
    with h5py.File(root / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5", "r+") as file:
        file["imgBrick"][20] = 0
    data = open_dataset(raw_files.nsd_settings(root))
    with pytest.raises(InputError, match="a photograph as image 20"):
        data.image("20")
    data.image("7")


def test_images_and_all_captions_by_zero_based_id(data):
    assert np.array_equal(data.image("20"), raw_files.picture(20))
    assert len(data.captions("20")) == 6
    assert data.captions("1") == [f"scene 1, words {turn}" for turn in range(5)]


def test_parts_need_no_file_and_follow_the_subject():
    settings = {"format": "nsd", "sessions": [1, 37]}
    assert len(parts(settings, "subj01")) == 37
    assert parts({"format": "nsd"}, "subj01") == parts(settings, "subj01")
    assert len(parts({"format": "nsd"}, "subj04")) == 30
    assert len(parts(settings, "subj03")) == len(parts(settings, "subj06")) == 32
    assert len(parts(settings, "subj04")) == len(parts(settings, "subj08")) == 30
    assert parts(settings | {"n_sessions": {"subj03": 29}}, "subj03")[-1] == "session29"
    assert parts(settings | {"n_sessions": 2}, "subj05") == ["session01", "session02"]
    assert parts(settings | {"simulate": {"sessions": 3}}, "subj01")[-1] == "session03"
    with pytest.raises(InputError, match="subj01 to subj08"):
        parts(settings, "subj09")
    with pytest.raises(InputError, match="counted from 1"):
        parts(settings | {"sessions": [0, 3]}, "subj01")


def test_check_says_size_shape_and_type_of_every_file(data):
    checks = data.check("subj01")
    assert not [check for check in checks if check.stops]
    said = {check.path.rsplit("/", 1)[-1]: check.found for check in checks}
    assert "(6, 3, 4, 5) int16, chunks (6, 1, 1, 1)" in said["betas_session02.hdf5"]
    assert "(34, 8, 8, 3) uint8" in said["nsd_stimuli.hdf5"]
    assert said["subj01: captions"] == "31 captions of 6 images"
    assert "3 sessions of 6 trials" in said["nsd_expdesign.mat"]


def test_nifti_is_read_to_its_checksum(tmp_path):
    path = tmp_path / "betas_session01.nii.gz"
    raw_files.write_volume(path, raw_files.nsd_betas()[0])
    content = bytearray(gzip.decompress(path.read_bytes()))
    packed = bytearray(gzip.compress(bytes(content)))
    packed[-6] ^= 255  # the checksum that ends the file
    path.write_bytes(packed)
    with pytest.raises(InputError, match="CRC"):
        read_betas(path, 6, (5, 4, 3), np.arange(6), np.array([0]))
    path.write_bytes(gzip.compress(bytes(content[:-100])))
    with pytest.raises(InputError, match="the file ends in trial 5"):
        read_betas(path, 6, (5, 4, 3), np.arange(6), np.array([0]))
