"""Damaged THINGS-fMRI files and own data: each ends in one clear line before anything heavy."""

import numpy as np
import pytest

from afterimage.errors import InputError
from tests import damages
from tests.damaged_pictures import (
    far_too_large,
    large_picture,
    one_colour,
    zeros_at_the_end,
    zeros_inside,
)
from tests.damages import (
    RESPONSES,
    TRIALS,
    VOXELS,
    archive,
    change_table,
    cut_short,
    empty_hdf5,
    lose_the_end,
    many_voxels_of_lost_trials,
    never_written_responses,
    remove,
    replace,
    rewrite_array,
    rewrite_responses,
    second_picture,
    set_cell,
    turn_voxels,
    write,
)

# What is broken, where, how, and what the line must say.
BROKEN = {
    # THINGS-fMRI
    "no responses": ("things", RESPONSES, remove, "found nothing.*unzip betas_csv.zip"),
    "responses cut short": ("things", RESPONSES, cut_short, "a whole HDF5 file"),
    "responses transposed": ("things", RESPONSES, rewrite_responses(lambda a: a.T), "transposed"),
    "responses of fewer trials": (
        "things", RESPONSES, rewrite_responses(lambda a: a[:, :4]), r"\(7, 5\).*found \(7, 4\)"
    ),
    "a voxel without values": (
        "things", RESPONSES,
        rewrite_responses(lambda a: np.where(np.arange(len(a))[:, None] == 2, np.nan, a)),
        "at most 5.0% of voxels without data, found 1 of [0-9] voxels",
    ),
    "a voxel of one value": (
        "things", RESPONSES,
        rewrite_responses(lambda a: np.where(np.arange(len(a))[:, None] == 2, 0.5, a)),
        "found 1 of [0-9] voxels not finite or always the same",
    ),
    "responses that were never written": (
        "things", RESPONSES, never_written_responses, "found 2 of 2 voxels not finite or always"
    ),
    "responses as integers": (
        "things", RESPONSES, rewrite_responses(lambda a: a.astype(int)), "block of floats"
    ),
    "voxel table of fewer voxels": ("things", VOXELS, change_table(lambda t: t[:6]), r"\(6, 5\)"),
    "voxel table without a region": (
        "things", VOXELS, change_table(lambda t: t.rename(columns={"V1": "V1v"})),
        "a column 'V1', found did you mean 'V1v'",
    ),
    "subject without a region in one hemisphere": (
        "things", VOXELS, change_table(lambda t: t.drop(columns="rLOC")),
        "a column 'rLOC', found only 'lLOC', of the other hemisphere. .*entry of its own"
    ),
    "subject without a voxel of a region": (
        "things", VOXELS, change_table(lambda t: t.assign(lLOC=0)),
        "voxels in region LOC, found none. A subject .*entry of its own"
    ),
    "voxel table from last to first": (
        "things", VOXELS, change_table(turn_voxels),
        "ResponseData.h5: expected voxel_id [0-9]+ in row 0 as in VoxelMetadata.csv, found 0"
    ),
    "voxel table of other voxels": (
        "things", VOXELS,
        change_table(lambda t: t.assign(voxel_id=t["voxel_id"].astype(int) + 1)),
        "ResponseData.h5: expected voxel_id 1 in row 0 as in VoxelMetadata.csv, found 0"
    ),
    "voxel table of another subject": (
        "things", VOXELS, change_table(lambda t: t.assign(subject_id="02")),
        "rows of sub-01, found subject_id 2"
    ),
    "two voxels in one place": (
        "things", VOXELS, change_table(set_cell(1, "voxel_z", "33")), "two in one place"
    ),
    "coordinate missing": (
        "things", VOXELS, change_table(set_cell(2, "voxel_x", "")), "coordinates of every voxel"
    ),
    "sessions from last to first": (
        "things", TRIALS, change_table(lambda t: t.assign(session=[2, 2, 2, 1, 1])),
        "sessions and runs in the order of showing, found a step back in row 3"
    ),
    "voxel twice": ("things", VOXELS, change_table(set_cell(3, "voxel_id", "2")), "voxel_id once"),
    "region with other values": ("things", VOXELS, change_table(set_cell(3, "V1", "2")), "0 or 1"),
    "region with an empty cell": ("things", VOXELS, change_table(set_cell(3, "V1", "")), "0 or 1"),
    "trials in another order": (
        "things", TRIALS, change_table(lambda t: t[::-1]), "trial_id 0, 1, 2"
    ),
    "trial numbers from 1": (
        "things", TRIALS,
        change_table(lambda t: t.assign(trial_id=t["trial_id"].astype(int) + 1)),
        "trial_id 0, 1, 2",
    ),
    "catch trials": (
        "things", TRIALS, change_table(set_cell(1, "trial_type", "catch")),
        "train or test, found catch"
    ),
    "no test trials": (
        "things", TRIALS,
        change_table(lambda t: t[t["trial_type"] == "train"].assign(trial_id=range(3))),
        "both types, train and test, found only train",
    ),
    "released ceiling with text": (
        "things", VOXELS, change_table(set_cell(3, "nc_testset", "high")),
        "'nc_testset', found text"
    ),
    "coordinate with text": (
        "things", VOXELS, change_table(set_cell(3, "voxel_x", "left")), "'voxel_x', found text"
    ),
    "trials of another subject": (
        "things", TRIALS, change_table(lambda t: t.assign(subject_id=3)),
        "rows of sub-01, found .* 3"
    ),
    "picture in training and in test": (
        "things", TRIALS, change_table(set_cell(1, "trial_type", "train")), "bat1_13s.jpg in both"
    ),
    "stimulus of another concept": (
        "things", TRIALS, change_table(set_cell(0, "concept", "cat")), "named after their concept"
    ),
    "stimuli without an exemplar": (
        "things", TRIALS, change_table(lambda t: t.assign(stimulus=t["concept"])),
        "named after their concept"
    ),
    "concept missing": (
        "things", "things_concepts.tsv", replace("dog\tdog", "dog\thound"),
        "uniqueID dog, found none"
    ),
    "concept twice": (
        "things", "things_concepts.tsv", replace("bat\tbat2", "bat\tbat1"), "bat1 again"
    ),
    "concept without a definition": (
        "things", "things_concepts.tsv", replace("frozen dessert", ""),
        "a definition, found an empty"
    ),
    "THINGS picture missing": (
        "things", "object_images/dog/dog_12s.jpg", remove, "dog_12s.jpg: expected a picture"
    ),
    "THINGS picture cut short": (
        "things", "object_images/dog/dog_12s.jpg", lose_the_end,
        "readable picture, found .*truncated"
    ),
    "THINGS picture with zeros inside": (
        "things", "object_images/dog/dog_12s.jpg", large_picture(zeros_inside),
        "dog_12s.jpg: expected a whole picture, found zeros inside"
    ),
    "THINGS picture with zeros at the end": (
        "things", "object_images/dog/dog_12s.jpg", large_picture(zeros_at_the_end),
        "dog_12s.jpg: expected a whole picture, found zeros inside"
    ),
    "THINGS picture of zeros": (
        "things", "object_images/dog/dog_12s.jpg", write(bytes(5000)), "a readable picture"
    ),
    "THINGS picture of one colour": (
        "things", "object_images/dog/dog_12s.jpg", one_colour, "a photograph, found one colour"
    ),
    "THINGS picture far too large": (
        "things", "object_images/dog/dog_12s.jpg", far_too_large, "a readable picture, found .*bomb"
    ),
    # Your own data
    "own responses transposed": (
        "custom", "anna/responses.npy", rewrite_array(lambda a: a.T),
        "transposed: rows must be trials"
    ),
    "own responses of fewer trials": (
        "custom", "anna/responses.npy", rewrite_array(lambda a: a[:4]), r"\(5, 4\) .*found \(4, 4\)"
    ),
    "own responses pickled": (
        "custom", "anna/responses.npy", rewrite_array(lambda a: a.astype(object)),
        "readable responses",
    ),
    "own responses as an archive": (
        "custom", "anna/responses.npy", archive, "one array, found an archive"
    ),
    "own responses cut short": ("custom", "anna/responses.npy", cut_short, "readable responses"),
    "own responses without values": (
        "custom", "anna/responses.npy", empty_hdf5, "a dataset 'responses', found responses"
    ),
    "own responses that break off in zeros": (
        "custom", "anna/voxels.csv", many_voxels_of_lost_trials,
        "anna: responses: expected values in every trial, found zero in all 40 voxels in trial 2"
    ),
    "own responses as text": (
        "custom", "anna/responses.npy", rewrite_array(lambda a: a.astype(str)), "expected numbers"
    ),
    "own voxel without values": (
        "custom", "anna/responses.npy",
        rewrite_array(lambda a: np.where(np.arange(a.shape[1]) == 1, np.nan, a)),
        "at most 5.0% of voxels without data, found 1 of [0-9] voxels",
    ),
    "own responses twice": (
        "custom", "anna/responses.h5", write(b""), "one file of responses"
    ),
    "own trial twice": (
        "custom", "anna/trials.csv", replace("\n1,008", "\n0,008"), "trial 0 again"
    ),
    "own image in two splits": (
        "custom", "anna/trials.csv", replace("3,007,1,2,train", "3,007,1,2,test"), "several for 007"
    ),
    "own split of another name": (
        "custom", "anna/trials.csv", replace(",test", ",val"), "train, test or empty, found 'val'"
    ),
    "own trial number with a fraction": (
        "custom", "anna/trials.csv", replace("\n4,", "\n4.5,"), "whole numbers in column trial"
    ),
    "own id that leaves the folder": (
        "custom", "anna/trials.csv", replace("009", "../009"), "ids without /"
    ),
    "own column misspelt": (
        "custom", "anna/trials.csv", replace("image_id", "image"),
        "'image_id', found did you mean 'image'"
    ),
    "own voxel twice": ("custom", "anna/voxels.csv", replace("\nb,", "\na,"), "voxel a again"),
    "own region with text": (
        "custom", "anna/voxels.csv", replace("a,1", "a,yes"), "numbers in column V1"
    ),
    "own region empty": (
        "custom", "anna/voxels.csv", write(b"voxel,V1,IT\na,1,0\nb,1,0\nc,0,0\nd,0,0\n"),
        "region IT, found none",
    ),
    "own caption missing": (
        "custom", "captions.csv", replace("009,last\n", ""), "a caption of image 009, found none"
    ),
    "own picture missing": ("custom", "images/NA.png", remove, "NA.png: expected a picture"),
    "own picture cut short": (
        "custom", "images/NA.png", cut_short, "a readable picture, found .*truncated"
    ),
    "own picture unreadable": ("custom", "images/NA.png", write(b"GIF?"), "a readable picture"),
    "own picture twice": ("custom", "images/NA.png", second_picture, "one picture of NA"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_damage_is_said_in_one_line_before_heavy_work(name, tmp_path):
    family, file, damage, said = BROKEN[name]
    damages.FAMILIES[family][0](tmp_path / "raw")
    damage(tmp_path / "raw" / file)
    shown: list[str] = []
    with pytest.raises(InputError, match=said) as caught:
        damages.check(family, tmp_path / "raw", tmp_path / "out.txt", shown.append)
    assert "that stop the work" in shown[0]  # the whole table, not the first problem alone
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert not (tmp_path / "out.txt").exists()
