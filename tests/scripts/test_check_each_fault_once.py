"""check_data says each fault once, with the remedy that mends it, however much else is missing."""

import io
from pathlib import Path

import pytest

from afterimage.datasets import open_dataset
from afterimage.errors import InputError
from tests import damages, raw_files

NSD_FILES = (
    damages.DESIGN,
    damages.HCP,
    damages.HCP_TABLE,
    damages.STREAMS,
    "nsddata/freesurfer/fsaverage/label/streams.mgz.ctab",
    damages.SESSION,
    damages.STIMULI,
    damages.STIMULUS_TABLE,
    damages.CAPTIONS,
)
THINGS_FILES = (damages.RESPONSES, damages.VOXELS, damages.TRIALS, "things_concepts.tsv")
CUSTOM_FILES = ("anna/trials.csv", "anna/voxels.csv", "anna/responses.npy", "captions.csv")
FILES = [
    (family, file)
    for family, files in (("nsd", NSD_FILES), ("things", THINGS_FILES), ("custom", CUSTOM_FILES))
    for file in files
]


def rows_that_stop(family: str, root) -> list:
    settings = damages.FAMILIES[family][1](root)
    checks = open_dataset(settings).check(settings["subjects"][0])
    return [check for check in checks if check.stops]


@pytest.mark.parametrize("damage", [damages.remove, damages.write(b"")])
@pytest.mark.parametrize(("family", "file"), FILES)
def test_one_missing_or_empty_file_is_one_row_that_stops(tmp_path, family, file, damage):
    """Whatever would be compared with it is good, and is called neither bad nor missing."""
    damages.FAMILIES[family][0](tmp_path)
    damage(tmp_path / file)
    stopping = rows_that_stop(family, tmp_path)
    # An empty label table or caption file is read where it is used: the row is the area's.
    assert len(stopping) == 1, [str(check.error) for check in stopping]
    assert Path(file).name in str(stopping[0].error)


def test_behaviour_that_contradicts_the_design_is_one_row(tmp_path):
    raw_files.write_nsd(tmp_path)
    damages.replace("\t", ",")(tmp_path / damages.BEHAVIOUR)
    assert len(rows_that_stop("nsd", tmp_path)) == 1


def test_a_label_volume_is_not_blamed_for_the_one_that_it_is_compared_with(tmp_path):
    """The reference is the first of the config's areas, whatever the order of names."""
    raw_files.write_nsd(tmp_path)
    settings = raw_files.nsd_settings(tmp_path)
    settings["areas"] = dict(reversed(settings["areas"].items()))
    (tmp_path / damages.STREAMS).unlink()
    checks = open_dataset(settings).check("subj01")
    assert [check.path for check in checks if check.stops] == [str(tmp_path / damages.STREAMS)]
    other = next(check for check in checks if check.path == str(tmp_path / damages.HCP))
    assert other.found.endswith(", not compared")


def test_a_label_that_is_not_there_is_said_before_any_session_is(tmp_path):
    raw_files.write_nsd(tmp_path)
    for path in (tmp_path / raw_files.NSD_BETAS).iterdir():
        path.unlink()
    damages.replace("6 V4\n", "6 V4t\n")(tmp_path / damages.HCP_TABLE)
    said = [str(check.error) for check in rows_that_stop("nsd", tmp_path)]
    assert len(said) == 3
    assert "a label 'V4', found did you mean 'V4t'?" in said[0]


def test_a_misspelt_atlas_is_answered_with_its_name_and_not_with_a_download(tmp_path):
    raw_files.write_nsd(tmp_path)
    settings = raw_files.nsd_settings(tmp_path)
    for region in settings["areas"]["lower"]["regions"].values():
        region["atlas"] = "HCP_MMP"
    stopping = [check for check in open_dataset(settings).check("subj01") if check.stops]
    assert len(stopping) == 1
    assert isinstance(stopping[0].error, InputError)
    assert "did you mean 'HCP_MMP1'?" in str(stopping[0].error)
    assert "download_nsd" not in str(stopping[0].error) + stopping[0].remedy


@pytest.mark.parametrize("atlas", ["prf-visualrois", "floc-faces", "thalamus"])
def test_an_atlas_of_the_release_can_be_downloaded(tmp_path, atlas):
    raw_files.write_nsd(tmp_path)
    settings = raw_files.nsd_settings(tmp_path)
    settings["areas"]["higher"]["regions"] = {"R": {"atlas": atlas}}
    stopping = [check for check in open_dataset(settings).check("subj01") if check.stops]
    assert [check.path.endswith(f"{atlas}.nii.gz") for check in stopping] == [True]
    assert "download_nsd" in stopping[0].remedy


def test_an_atlas_of_ones_own_lies_beside_those_of_the_release(tmp_path):
    raw_files.write_nsd(tmp_path)
    folder = tmp_path / raw_files.NSD_ROI
    (folder / "streams.nii.gz").rename(folder / "mine.nii.gz")
    settings = raw_files.nsd_settings(tmp_path)
    settings["areas"]["higher"]["regions"] = {"R": {"atlas": "mine"}}
    assert not [check for check in open_dataset(settings).check("subj01") if check.stops]
    settings["areas"]["higher"]["regions"] = {"R": {"atlas": "mines"}}
    stopping = [check for check in open_dataset(settings).check("subj01") if check.stops]
    assert ["did you mean 'mine'" in check.remedy for check in stopping] == [True]


@pytest.mark.parametrize(
    ("family", "file"),
    [("nsd", damages.HCP_TABLE), ("nsd", damages.CAPTIONS), ("nsd", damages.STIMULUS_TABLE)],
)
def test_a_file_that_may_not_be_read_is_said(tmp_path, monkeypatch, family, file):
    damages.FAMILIES[family][0](tmp_path)
    opened = io.open

    def refuse(path, *arguments, **options):
        if str(path).endswith(file):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(io, "open", refuse)
    monkeypatch.setattr("builtins.open", refuse)
    stopping = rows_that_stop(family, tmp_path)
    assert len(stopping) == 1
    assert "Permission denied" in str(stopping[0].error)


def test_a_home_folder_in_the_root_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for family, (write_files, settings) in damages.FAMILIES.items():
        write_files(tmp_path / family)
        data = open_dataset({**settings(tmp_path), "root": f"~/{family}"})
        assert len(data.trials(data.settings["subjects"][0]))
