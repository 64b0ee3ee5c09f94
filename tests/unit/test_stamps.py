"""Stamps of raw files change exactly when what reads the files must run again."""

import os
from pathlib import Path

import pytest

from afterimage.datasets import open_dataset
from afterimage.datasets.stamps import WHOLE_BYTES, check_stamp, reader_stamp
from tests.damages import BEHAVIOUR, CAPTIONS, FAMILIES, HCP, RESPONSES, SESSION, TRIALS, VOXELS

# One file of each kind, by format.
FILES = {
    "nsd": {
        "trials": BEHAVIOUR,
        "voxels": HCP,
        "betas session02": SESSION,
        "images": "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5",
        "captions": CAPTIONS,
    },
    "things": {
        "trials": TRIALS,
        "voxels": VOXELS,
        "betas all": RESPONSES,
        "images": "object_images/dog/dog_12s.jpg",
        "captions": "things_concepts.tsv",
    },
    "custom": {
        "trials": "anna/trials.csv",
        "voxels": "anna/voxels.csv",
        "betas all": "anna/responses.npy",
        "images": "images/007.png",
        "captions": "captions.csv",
    },
}
CASES = [(family, kind) for family in FILES for kind in FILES[family]]


def stamps(family: str, root: Path) -> tuple[str, dict[str, str]]:
    """The stamp of check_data, and the readers' by kind."""
    settings = FAMILIES[family][1](root)
    subject = settings["subjects"][0]
    kinds = open_dataset(settings).raw_files(subject)
    assert set(FILES[family]) <= set(kinds)
    return check_stamp({"mine": settings}), {
        kind: reader_stamp(settings, subject, [kind]) for kind in kinds
    }


@pytest.mark.parametrize(("family", "kind"), CASES)
def test_a_touched_file_is_looked_at_again_and_changes_no_result(family, kind, tmp_path):
    FAMILIES[family][0](tmp_path)
    check, readers = stamps(family, tmp_path)
    assert stamps(family, tmp_path) == (check, readers)
    os.utime(tmp_path / FILES[family][kind], (1, 1))
    touched, still = stamps(family, tmp_path)
    assert touched != check
    assert still == readers


def other_size(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def other_content(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def vanish(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("change", [other_size, other_content, vanish])
@pytest.mark.parametrize(("family", "kind"), CASES)
def test_a_changed_file_reruns_what_reads_it_and_nothing_else(family, kind, change, tmp_path):
    FAMILIES[family][0](tmp_path)
    check, readers = stamps(family, tmp_path)
    change(tmp_path / FILES[family][kind])
    changed, others = stamps(family, tmp_path)
    assert changed != check
    changed_kinds = {name for name in readers if others[name] != readers[name]}
    folder_of_same_size = change is other_content and kind == "images" and family != "nsd"
    assert changed_kinds == (set() if folder_of_same_size else {kind})


def test_a_file_that_appears_is_seen(tmp_path):
    FAMILIES["nsd"][0](tmp_path)
    (tmp_path / BEHAVIOUR).rename(tmp_path / "behaviour")
    check, readers = stamps("nsd", tmp_path)
    (tmp_path / "behaviour").rename(tmp_path / BEHAVIOUR)
    appeared, others = stamps("nsd", tmp_path)
    assert appeared != check
    assert others["trials"] != readers["trials"]
    assert others["voxels"] == readers["voxels"]


@pytest.mark.parametrize("place", [0, 1 / 3, 0.5, 0.77, 63 / 64])
def test_a_stretch_of_a_64th_of_a_large_file_is_noticed_wherever_it_is(place, tmp_path):
    FAMILIES["custom"][0](tmp_path)
    path = tmp_path / "anna/responses.npy"
    content = bytearray(2 * WHOLE_BYTES)
    path.write_bytes(content)
    before = stamps("custom", tmp_path)[1]["betas all"]
    begin, length = int(place * len(content)), len(content) // 64
    content[begin : begin + length] = b"1" * length
    path.write_bytes(content)
    assert stamps("custom", tmp_path)[1]["betas all"] != before


@pytest.mark.parametrize("place", [0, WHOLE_BYTES, 2 * WHOLE_BYTES])
def test_of_a_large_file_the_first_the_middle_and_the_last_byte_count(place, tmp_path):
    FAMILIES["custom"][0](tmp_path)
    path = tmp_path / "anna/responses.npy"
    content = bytearray(2 * WHOLE_BYTES + 1)
    path.write_bytes(content)
    before = stamps("custom", tmp_path)[1]["betas all"]
    content[place] = 1
    path.write_bytes(content)
    assert stamps("custom", tmp_path)[1]["betas all"] != before
