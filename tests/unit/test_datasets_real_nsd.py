"""NSD's reader on the real design, behaviour, label table, region volume and captions."""

import shutil

import numpy as np
import pandas as pd
import pytest

from afterimage.datasets import open_dataset
from afterimage.datasets.nsd_regions import (
    label_numbers,
    read_label_table,
    read_labels,
    region_positions,
    require_own_table,
)
from afterimage.errors import InputError

RELEASES = [  # subjects, sessions, trials, train images, train trials, test images, test trials
    ((1, 2, 5, 7), 37, 27750, 8859, 24980, 982, 2770, (33, 110, 839), (319, 959, 7581)),
    ((1, 2, 5, 7), 40, 30000, 9000, 27000, 1000, 3000, (0, 0, 1000), (0, 0, 9000)),
    ((3, 6), 29, 21750, 8188, 19637, 894, 2113, (156, 257, 481), (1339, 2249, 4600)),
    ((3, 6), 32, 24000, 8481, 21629, 930, 2371, (103, 213, 614), (953, 1908, 5620)),
    ((4, 8), 27, 20250, 7907, 18265, 872, 1985, (172, 287, 413), (1560, 2336, 4011)),
    ((4, 8), 30, 22500, 8302, 20312, 907, 2188, (141, 251, 515), (1222, 2150, 4930)),
]


# The numbers of the atlas's visual areas, which are not those of other tables of the same atlas.
HCP_LABELS = {
    "V1": 1, "MST": 2, "V6": 3, "V2": 4, "V3": 5, "V4": 6, "V8": 7, "V3A": 13, "V7": 16,
    "IPS1": 17, "FFC": 18, "V3B": 19, "LO1": 20, "LO2": 21, "PIT": 22, "MT": 23, "PHA1": 126,
    "PHA3": 127, "TE1p": 133, "TF": 135, "TE2p": 136, "PH": 138, "VMV1": 153, "VMV3": 154,
    "PHA2": 155, "V4t": 156, "FST": 157, "V3CD": 158, "LO3": 159, "VMV2": 160, "VVC": 163,
}  # fmt: skip


@pytest.fixture(scope="module")
def real_root(real_data, tmp_path_factory):
    root = tmp_path_factory.mktemp("nsd")
    for source, target in (
        ("nsd_expdesign.mat", "nsddata/experiments/nsd/nsd_expdesign.mat"),
        ("HCP_MMP1.mgz.ctab", "nsddata/freesurfer/fsaverage/label/HCP_MMP1.mgz.ctab"),
        ("subj01_responses_resaved.tsv", "nsddata/ppdata/subj01/behav/responses.tsv"),
    ):
        (root / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(real_data / "nsd" / source, root / target)
    return root


@pytest.fixture(scope="module")
def bare_root(real_root, tmp_path_factory):
    """The design alone."""
    root = tmp_path_factory.mktemp("design")
    path = root / "nsddata/experiments/nsd/nsd_expdesign.mat"
    path.parent.mkdir(parents=True)
    shutil.copyfile(real_root / path.relative_to(root), path)
    return root


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: f"{release[0]}, {release[1]}")
def test_real_design_gives_the_published_counts(real_root, bare_root, release):
    subjects, sessions, n_trials, train, train_trials, test, test_trials, *repeats = release
    for number in subjects:
        subject = f"subj{number:02d}"
        # The behaviour of subj01 here ends with session 37: see the next test.
        root = bare_root if (subject, sessions) == ("subj01", 40) else real_root
        settings = {
            "format": "nsd", "root": str(root), "sessions": [1, sessions],
            "n_sessions": sessions,
        }  # fmt: skip
        trials = open_dataset(settings).trials(subject)
        images = trials.groupby("official")["image_id"].nunique()
        counts = trials["official"].value_counts()
        assert len(trials) == n_trials
        assert (images["train"], counts["train"]) == (train, train_trials)
        assert (images["test"], counts["test"]) == (test, test_trials)
        for kind, expected in zip(("test", "train"), repeats, strict=True):
            shown = trials[trials["official"] == kind].groupby("image_id").size().value_counts()
            assert tuple(shown.reindex([1, 2, 3], fill_value=0)) == expected


def test_real_behaviour_agrees_and_its_missing_sessions_are_said(real_root):
    settings = {"format": "nsd", "root": str(real_root), "sessions": [1, 40]}
    with pytest.raises(InputError, match=r"no session 38.*Set n_sessions to the 37"):
        open_dataset(settings).trials("subj01")
    trials = open_dataset(settings | {"n_sessions": 37}).trials("subj01")
    assert trials["image_id"][0] == "46002"


def test_real_reconstructed_table_counts_trials_from_one(real_root, real_data):
    settings = {"format": "nsd", "root": str(real_root), "n_sessions": {"subj01": 37}}
    table = pd.read_csv(real_data / "nsd/nsd_stim_info_reconstructed_partial.csv", index_col=0)
    for number in range(1, 9):
        subject = f"subj{number:02d}"
        trials = open_dataset(settings).trials(subject)
        image = trials["image_id"].astype(int)
        repeats = table.loc[image, [f"subject{number}_rep{turn}" for turn in range(3)]].to_numpy()
        assert ((repeats - 1) == trials["trial"].to_numpy()[:, None]).any(axis=1).all()
        assert (table["shared1000"][image].to_numpy() == (trials["official"] == "test")).all()


def test_real_label_table(real_data):
    table = real_data / "nsd/HCP_MMP1.mgz.ctab"
    assert label_numbers(table, [*HCP_LABELS]) == [*HCP_LABELS.values()]
    assert len(read_label_table(table)) == 181
    with pytest.raises(InputError, match="a label 'V9'"):
        label_numbers(table, ["V9"])


def test_the_real_table_lists_every_number_of_its_atlas(real_data, tmp_path):
    """A volume may hold any of 180 regions; what another atlas numbers otherwise is noticed."""
    table = real_data / "nsd/HCP_MMP1.mgz.ctab"
    require_own_table(tmp_path, np.arange(-1, 181), table)
    with pytest.raises(InputError, match=r"180 the last.*found 1 .*such as 181"):
        require_own_table(tmp_path, np.arange(-1, 182), table)


def test_real_visual_regions_have_the_published_voxels(real_data):
    labels, affine = read_labels(real_data / "nsd/subj01_prf-visualrois_labels.nii.gz")
    assert labels.shape == (81, 104, 83)
    counts = [len(region_positions(labels, [number])) for number in range(1, 8)]
    assert counts == [594, 756, 834, 599, 646, 541, 687]
    assert len(region_positions(labels, None)) == sum(counts) == 4657
    np.testing.assert_allclose(np.abs(np.diag(affine)[:3]), 1.8, atol=1e-3)


def test_real_shared_images_have_all_their_captions(real_data, tmp_path):
    """The 1,000 shared images: 997 with five captions, three with six."""
    import ast
    import json

    ids = pd.read_csv(real_data / "nsd/shared1000_HED.tsv", sep="\t")
    captions = pd.read_csv(real_data / "nsd/shared1000_captions.csv").set_index("image_id")
    said = captions["coco_captions"].map(ast.literal_eval)
    annotations = [
        {"id": 10 * image + turn, "image_id": image, "caption": caption}
        for image, lines in said.items()
        for turn, caption in enumerate(lines)
    ]
    table = pd.read_csv(real_data / "nsd/nsd_stim_info_reconstructed_partial.csv", index_col=0)
    table["cocoSplit"] = np.where(table.index < 2900, "val2017", "train2017")
    experiment = tmp_path / "nsddata/experiments/nsd"
    experiment.mkdir(parents=True)
    table.to_csv(experiment / "nsd_stim_info_merged.csv")
    folder = tmp_path / "nsddata_stimuli/stimuli/nsd/annotations"
    folder.mkdir(parents=True)
    (folder / "captions_train2017.json").write_text(json.dumps({"annotations": annotations}))
    shutil.copyfile(real_data / "coco/captions_val2017.json", folder / "captions_val2017.json")
    data = open_dataset({"format": "nsd", "root": str(tmp_path)})
    counts = [len(data.captions(str(nsd_id))) for nsd_id in ids["nsd_id"]]
    assert (counts.count(5), counts.count(6), len(counts)) == (997, 3, 1000)
    assert table["cocoId"][ids["nsd_id"]].tolist() == ids["cocoId"].tolist()


def test_real_coco_file_is_read_whole(real_data):
    from afterimage.datasets.nsd_stimuli import read_captions

    table = pd.DataFrame({"cocoId": range(600_000), "cocoSplit": "val2017"})
    captions = read_captions([real_data / "coco/captions_val2017.json"], table)
    assert len(captions) == 5000
    assert sum(map(len, captions.values())) == 25014
