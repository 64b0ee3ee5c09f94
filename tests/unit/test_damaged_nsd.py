"""Damaged NSD files: each ends in one clear line before anything heavy."""

import numpy as np
import pytest

from afterimage.errors import InputError
from tests import damages, raw_files
from tests.damaged_pictures import group_of_pictures, rewrite_stimuli, write_pictures, zero_picture
from tests.damages import (
    BEHAVIOUR,
    CAPTIONS,
    DESIGN,
    HCP,
    HCP_TABLE,
    SESSION,
    STIMULI,
    STIMULUS_TABLE,
    STREAMS,
    another_atlas,
    as_nifti,
    change_design,
    change_table,
    coloured_labels,
    cut_short,
    empty_dataset,
    folder,
    lost_place,
    lost_trials,
    moved_labels,
    remove,
    rename_dataset,
    replace,
    rewrite_betas,
    rewrite_captions,
    rewrite_labels,
    scaled,
    some_voxels_written,
    spoil_last_chunk,
    wide_volume,
    without_the_last_trial,
    write,
    write_nothing,
    wrong_checksum,
    zero_in_place,
)

# What is broken, where, how, and what the line must say.
BROKEN = {
    # NSD: the design and the tables beside it
    "no design": ("nsd", DESIGN, remove, "expected .*design, found nothing.*download_nsd"),
    "design is a web page": ("nsd", DESIGN, write(b"<html>denied</html>"), "a MAT file"),
    "design counts trials' images from 0": (
        "nsd", DESIGN, change_design(masterordering=lambda a: a - 1),
        "masterordering counted from 1"
    ),
    "design's ids count from 0": (
        "nsd", DESIGN, change_design(subjectim=lambda a: a - 1), "subjectim counted from 1"
    ),
    "shared ids count from 0": (
        "nsd", DESIGN, change_design(sharedix=lambda a: a - 1), "to be sharedix, found other images"
    ),
    "design with fractions": (
        "nsd", DESIGN, change_design(masterordering=lambda a: a + 0.5),
        "whole numbers in masterordering, found others"
    ),
    "an image twice in a subject": (
        "nsd", DESIGN, change_design(subjectim=lambda a: np.where(a == 30, 5, a)), "each image once"
    ),
    "design of fewer sessions": (
        "nsd", DESIGN, change_design(masterordering=lambda a: a[:, :6],
                                     stimpattern=lambda a: a[:1]), "at most the design's 1",
    ),
    "session without some of its trials": (
        "nsd", DESIGN, change_design(stimpattern=lambda a: a * (np.arange(5) != 3)),
        "6 trials in each of 3 sessions",
    ),
    "behaviour of fewer sessions": (
        "nsd", BEHAVIOUR, change_table(lambda t: t[:6], sep="\t"),
        "no session 2.*n_sessions to the 1"
    ),
    "behaviour counts images from 0": (
        "nsd", BEHAVIOUR,
        change_table(lambda t: t.assign(**{"73KID": t["73KID"].astype(int) - 1}), sep="\t"),
        "73KID .*counts from 0",
    ),
    "behaviour in another order": (
        "nsd", BEHAVIOUR,
        change_table(lambda t: t.assign(**{"10KID": [*t["10KID"][1:], t["10KID"][0]]}), sep="\t"),
        "10KID 1 in row 0.*found 3",
    ),
    "behaviour is a folder": ("nsd", BEHAVIOUR, folder, "columns, found .*directory"),
    "behaviour separated by commas": (
        "nsd", BEHAVIOUR, lambda path: path.write_text(path.read_text().replace("\t", ",")),
        "tab-separated columns",
    ),
    "stimulus table counts from 1": (
        "nsd", STIMULUS_TABLE,
        change_table(lambda t: t.assign(nsdId=t["nsdId"].astype(int) + 1)), "counted from 0"
    ),
    "stimulus table without COCO ids": (
        "nsd", STIMULUS_TABLE, change_table(lambda t: t.drop(columns="cocoId")), "no cocoId"
    ),
    "stimulus table that shares the images beside": (
        "nsd", STIMULUS_TABLE,
        change_table(lambda t: t.assign(shared1000=[str(n in (8, 21)) for n in range(34)])),
        "shared1000 for the images that nsd_expdesign.mat shares, found 2 others, such as 8"
    ),
    # NSD: betas
    "session without values": (
        "nsd", SESSION, empty_dataset, "a dataset 'betas', found one without values"
    ),
    "session with its bytes swapped": (
        "nsd", SESSION, rewrite_betas(lambda a: a.byteswap()), "of a typical size .*bytes swapped"
    ),
    "session in whole percent": (
        "nsd", SESSION, rewrite_betas(lambda a: (a // 900).astype(np.int16)),
        "betas of a typical size between 0.02 and 30 % .*found 0.0"
    ),
    "session missing": ("nsd", SESSION, remove, "session 2 .*found nothing.*n_sessions"),
    "session cut short": ("nsd", SESSION, cut_short, "a whole HDF5 file, found .*truncated"),
    "session is a web page": ("nsd", SESSION, write(b"<html>"), "a whole HDF5 file"),
    "session with transposed axes": (
        "nsd", SESSION, rewrite_betas(lambda a: a.transpose(3, 2, 1, 0), chunks=None), "transposed"
    ),
    "session with x and z exchanged": (
        "nsd", SESSION, rewrite_betas(lambda a: a.transpose(2, 1, 0, 3)), "another order"
    ),
    "session of another subject": (
        "nsd", SESSION, rewrite_betas(lambda a: a[:4]), "both of the same subject"
    ),
    "session of fewer trials": (
        "nsd", SESSION, rewrite_betas(lambda a: a[..., :5]), "holds 5 trials, not 6"
    ),
    "betas as floats": (
        "nsd", SESSION, rewrite_betas(lambda a: a.astype(np.float32)), "int16.*found float32"
    ),
    "betas as unsigned integers": (
        "nsd", SESSION, rewrite_betas(lambda a: a.astype(np.uint16)), "int16.*found uint16"
    ),
    "betas under another name": ("nsd", SESSION, rename_dataset,
        "a dataset 'betas', found only data"),
    "packed betas that do not unpack": ("nsd", SESSION, spoil_last_chunk, "readable betas"),
    "session that was never written": ("nsd", SESSION, write_nothing, "never written"),
    "NIfTI session cut short": (
        "nsd", SESSION, as_nifti(lambda packed: packed[:-200]), "a whole NIfTI file, .*ended"
    ),
    "NIfTI session of too few bytes": (
        "nsd", SESSION, as_nifti(without_the_last_trial), "bytes unpacked, .*cut short"
    ),
    "session zeroed in place": (
        "nsd", SESSION, zero_in_place(), "session02.hdf5: .*betas in every trial, found zero in all"
    ),
    "some of a session's voxels zeroed in place": (
        "nsd", SESSION, zero_in_place([(0, 1, 0), (2, 3, 4), (1, 1, 1)]),
        "session02.hdf5: .*5.0% of voxels .*found 3 of 5 voxels of lower .* x 0, y 1, z 0"
    ),
    "session of one value": (
        "nsd", SESSION, rewrite_betas(lambda a: np.full_like(a, 7)),
        "found 5 of 5 voxels of lower the same in every trial, .*max_bad_voxels"
    ),
    "packed session of which voxels were never written": (
        "nsd", SESSION, some_voxels_written, "written for every voxel, found nothing for x 2"
    ),
    "last trials of a session zero": (
        "nsd", SESSION, rewrite_betas(lost_trials(4, 5), chunks=None),
        "betas in every trial, found zero in all 7 voxels"
    ),
    "session that is a copy of another": (
        "nsd", SESSION, lambda path: raw_files.write_betas(path, raw_files.nsd_betas()[0]),
        "session02.hdf5: expected betas of its own, found those of betas_session01.hdf5 in 7 of 7"
    ),
    "session that is a copy in part": (
        "nsd", SESSION,
        rewrite_betas(lambda a: np.where(np.arange(3)[:, None] < 2, raw_files.nsd_betas()[0], a)),
        "betas of its own, found those of betas_session01.hdf5 in [3-6] of 7"
    ),
    "NIfTI session that is a copy of another": (
        "nsd", SESSION, as_nifti(lambda packed: packed, session=0),
        "session02.nii.gz: expected betas of its own, found those of betas_session01.hdf5"
    ),
    "NIfTI session with a scale in its header": (
        "nsd", SESSION, as_nifti(scaled), "no scaling in the header, found slope 0.0033"
    ),
    "NIfTI session that was mirrored": (
        "nsd", SESSION, as_nifti(lambda packed: packed, mirror=True),
        "session02.nii.gz: expected the axes RAS of HCP_MMP1.nii.gz, found LAS"
    ),
    # NSD: regions
    "no region volume": ("nsd", HCP, remove, "a label volume.*found nothing"),
    "region volume cut short": ("nsd", HCP, cut_short, "HCP_MMP1.nii.gz: expected a NIfTI volume"),
    "region volume of another subject": (
        "nsd", HCP, rewrite_labels(wide_volume),
        "streams.nii.gz: expected the grid .6, 4, 3. of HCP_MMP1.*found .5, 4, 3."
    ),
    "region volume of two axes": (
        "nsd", HCP, rewrite_labels(lambda a: a[:, :, 0]), r"a volume \(x, y, z\), found shape"
    ),
    "region volume of probabilities": (
        "nsd", HCP, rewrite_labels(lambda a: a * 0.3), "whole numbers from -1"
    ),
    "region volume with NaN": (
        "nsd", HCP, rewrite_labels(lambda a: np.where(a < 0, np.nan, a)), "not finite"
    ),
    "region volume with a wrong checksum": ("nsd", HCP, wrong_checksum, "a NIfTI volume, .*CRC"),
    "region volume that is nowhere": (
        "nsd", HCP, lost_place, "a place in millimetres .*none of use"
    ),
    "region volume without a sign": (
        "nsd", HCP, rewrite_labels(lambda a: a.astype(np.int8).astype(np.uint8)),
        "found 255: was -1 stored as uint8"
    ),
    "region volume of colours": (
        "nsd", HCP, coloured_labels, "whole numbers from -1 on, found values of type"
    ),
    "region volume in another place": (
        "nsd", STREAMS, moved_labels(shift=1.8),
        r"streams.nii.gz: expected the place of HCP_MMP1.nii.gz .*found first voxel at \[-1.8"
    ),
    "region volume mirrored": (
        "nsd", STREAMS, moved_labels(mirror=True), "place of HCP_MMP1.nii.gz .*axes LAS"
    ),
    "region without a voxel": (
        "nsd", HCP, rewrite_labels(lambda a: np.where(a == 6, 0, a)),
        r"labelled \['V4'\], found none"
    ),
    "region volume of another atlas": (
        "nsd", STREAMS, another_atlas,
        r"streams.nii.gz: expected labels of streams.mgz.ctab \(5 the last\), "
        "found 2 that it does not list, such as 6"
    ),
    "no label table": ("nsd", HCP_TABLE, remove, "label table.*found nothing"),
    "label table without the label": (
        "nsd", HCP_TABLE, replace("6 V4\n", "6 V4t\n"), "a label 'V4', found did you mean 'V4t'"
    ),
    "label table with two numbers for a name": (
        "nsd", HCP_TABLE, replace("2 MST", "2 V4"), "each number and name once"
    ),
    "label table with other digits": (
        "nsd", HCP_TABLE, replace("1 V1", "\u00b9 V1"), "lines of a number and a name"
    ),
    "label table of another format": (
        "nsd", HCP_TABLE, write(b"V1,1\nV4,6\n"), "lines of a number and a name"
    ),
    # NSD: pictures and captions
    "pictures cut short": ("nsd", STIMULI, cut_short, "a whole HDF5 file"),
    "pictures with channels first": (
        "nsd", STIMULI, rewrite_stimuli(lambda a: a.transpose(0, 3, 1, 2)), "height, width, 3"
    ),
    "pictures as floats": (
        "nsd", STIMULI, rewrite_stimuli(lambda a: a / 255), "uint8, found .*float64"
    ),
    "pictures as a group": (
        "nsd", STIMULI, group_of_pictures, "a dataset 'imgBrick', found a group of that name"
    ),
    "pictures that were never written": (
        "nsd", STIMULI, write_pictures(chunks=(1, 8, 8, 3)),
        "every image that is shown, found nothing for 6 of 6, the first of them 1"
    ),
    "pictures of which some were never written": (
        "nsd", STIMULI, write_pictures(1, 4, 7, 10, 29, chunks=(1, 4, 8, 3)),
        "found nothing for 1 of 6, the first of them 20"
    ),
    "pictures in one piece that was never written": (
        "nsd", STIMULI, write_pictures(), "nothing: they were never written"
    ),
    "picture zeroed in place": (
        "nsd", STIMULI, zero_picture(20), "a photograph as image 20, found one grey all over"
    ),
    "pictures without pixels": (
        "nsd", STIMULI, rewrite_stimuli(lambda a: a[:, :0]), "width, 3.* uint8, found .34, 0"
    ),
    "the same picture for every image": (
        "nsd", STIMULI, rewrite_stimuli(lambda a: np.repeat(a[:1], len(a), axis=0)),
        "a picture of its own as image 4, found 1's"
    ),
    "too few pictures": ("nsd", STIMULI, rewrite_stimuli(lambda a: a[:20]), "an image 29"),
    "caption file cut short": ("nsd", CAPTIONS, cut_short,
        "COCO's caption format.*images.cocodataset"),
    "caption file of brackets": ("nsd", CAPTIONS, write(b"[" * 100_000), "COCO's caption format"),
    "an image without captions": (
        "nsd", CAPTIONS,
        rewrite_captions(lambda rows: [r for r in rows if r["image_id"] != 440]), "image 20: .*none"
    ),
    "a caption twice": (
        "nsd", CAPTIONS, rewrite_captions(lambda rows: rows + rows[:1]), "annotation id once"
    ),
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
