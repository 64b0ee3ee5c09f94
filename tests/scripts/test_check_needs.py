"""check_data and download_nsd ask for what the run reads, and for nothing else."""

import shutil

import pytest

from afterimage.datasets import open_dataset
from afterimage.datasets.nsd_files import needed_objects
from afterimage.errors import InputError
from afterimage.needs import EVERYTHING, is_read, needs_of
from tests import raw_files
from workflow_scripts import check_data

BETAS = {
    "nsd": ("nsddata_betas", "nsddata/ppdata/subj01/func1pt8mm", "nsddata/freesurfer"),
    "things": ("betas_csv/sub-01_VoxelMetadata.csv", "betas_csv/sub-01_ResponseData.h5"),
    "custom": ("anna/voxels.csv", "anna/responses.npy"),
}
CAPTIONS = {
    "nsd": (
        "nsddata_stimuli/stimuli/nsd/annotations",
        "nsddata/experiments/nsd/nsd_stim_info_merged.csv",
    ),
    "things": ("things_concepts.tsv",),
    "custom": ("captions.csv",),
}


@pytest.fixture(params=BETAS)
def tree(request, tmp_path):
    """A format's name, and the settings of a whole tree of it."""
    getattr(raw_files, f"write_{request.param}")(tmp_path / "raw")
    return request.param, getattr(raw_files, f"{request.param}_settings")(tmp_path / "raw")


def take_away(root, names) -> None:
    for name in names:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def stopping(settings: dict, needs: frozenset[str]) -> list[str]:
    checks = open_dataset(settings).check(settings["subjects"][0], needs)
    return [check.path for check in checks if check.stops]


def test_each_need_asks_for_its_own_files(tree, tmp_path):
    kind, settings = tree
    assert stopping(settings, EVERYTHING) == []
    take_away(tmp_path / "raw", BETAS[kind])
    of_betas = stopping(settings, EVERYTHING)
    assert of_betas
    assert stopping(settings, frozenset({"betas"})) == of_betas
    assert stopping(settings, frozenset({"captions"})) == []
    take_away(tmp_path / "raw", CAPTIONS[kind])
    of_captions = stopping(settings, frozenset({"captions"}))
    assert of_captions
    assert {*stopping(settings, EVERYTHING)} == {*of_betas, *of_captions}
    assert stopping(settings, frozenset()) == []


def test_pictures_and_trials_are_always_asked_for(tree, tmp_path):
    kind, settings = tree
    pictures = {"nsd": "nsddata_stimuli", "things": "object_images", "custom": "images"}[kind]
    shutil.rmtree(tmp_path / "raw" / pictures)
    assert len(stopping(settings, frozenset())) == 1
    shutil.rmtree(tmp_path / "raw")
    assert len(stopping(settings, frozenset())) == (1 if kind == "custom" else 2)


def test_what_is_not_needed_is_said(tree, tmp_path):
    kind, settings = tree
    take_away(tmp_path / "raw", BETAS[kind] + CAPTIONS[kind])
    out = tmp_path / "out.txt"
    check_data.main({"mine": settings}, str(out), needs=frozenset())
    assert "  not needed: betas, captions\n  all well" in out.read_text()
    with pytest.raises(InputError):
        check_data.main({"mine": settings}, str(out))


def test_pictures_alone_are_fetched_without_betas(tmp_path):
    names = [keys[0].rpartition("/")[2] for keys in needed_objects(
        raw_files.nsd_settings(tmp_path), frozenset()
    )]  # fmt: skip
    assert sorted(names) == ["nsd_expdesign.mat", "nsd_stimuli.hdf5", "responses.tsv"]


@pytest.mark.parametrize(
    ("methods", "decoders", "needed"),
    [
        (["theirs"], {"image": [], "text": []}, frozenset()),
        (["theirs", "oracle"], {"image": [], "text": []}, EVERYTHING),
        (["mean"], {"image": [], "text": []}, EVERYTHING),
        (["theirs"], {"image": [], "text": ["linear"]}, EVERYTHING),
    ],
)
def test_what_a_run_needs(methods, decoders, needed):
    run = {"methods": methods, "decoders": decoders}
    assert needs_of({"run": run, "external": {"theirs": {}}}) == needed


def test_the_record_names_the_raw_files_that_are_read(tree):
    _, settings = tree
    kinds = open_dataset(settings).raw_files(settings["subjects"][0])
    read = {needs: {kind for kind in kinds if is_read(kind, needs)} for needs in (
        frozenset(), frozenset({"captions"}), EVERYTHING
    )}  # fmt: skip
    assert [*read.values()] == [
        {"trials", "images"}, {"trials", "images", "captions"}, {*kinds}
    ]  # fmt: skip
