"""check_data: what a person sees of good and of missing raw files, on the demo's own trees too."""

import h5py
import numpy as np
import pandas as pd
import pytest

from afterimage.errors import InputError
from tests import raw_files
from workflow_scripts import check_data, simulate_nsd, simulate_things

SMALL = {"seed": 0, "picture_size": 48}
REGIONS = ("V1", "V2", "V3", "hV4", "VO1", "VO2", "TO1", "TO2", "FFA", "PPA", "LOC")


@pytest.fixture
def config():
    from pathlib import Path

    import yaml

    return yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())["datasets"]


def test_every_file_is_listed_with_size_shape_and_type(tmp_path, capsys):
    raw_files.write_nsd(tmp_path / "nsd")
    check_data.main({"mine": raw_files.nsd_settings(tmp_path / "nsd")}, str(tmp_path / "out.txt"))
    shown = capsys.readouterr().out
    assert shown == (tmp_path / "out.txt").read_text()
    line = next(line for line in shown.splitlines() if "betas_session02.hdf5" in line)
    assert line.split()[0] == "ok"
    assert "kB, (6, 3, 4, 5) int16" in line
    assert "subj01: lower" in shown


def test_missing_files_are_all_shown_with_their_remedy_and_the_first_is_the_error(tmp_path, capsys):
    raw_files.write_nsd(tmp_path / "nsd")
    folder = tmp_path / "nsd" / raw_files.NSD_BETAS
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"betas_session01\.hdf5: expected betas of session 1"):
        check_data.main({"mine": raw_files.nsd_settings(tmp_path / "nsd")}, str(tmp_path / "o.txt"))
    shown = capsys.readouterr().out
    assert shown.count("missing ") == 2
    assert shown.count("remedy:   snakemake --cores 8 download_nsd") == 2
    assert "2 that stop the work" in shown
    assert not (tmp_path / "o.txt").exists()


def test_nothing_there_at_all(tmp_path, capsys):
    settings = raw_files.things_settings(tmp_path / "nowhere")
    with pytest.raises(InputError, match="sub-01_StimulusMetadata"):
        check_data.main({"things": settings}, str(tmp_path / "out.txt"))
    shown = capsys.readouterr().out
    assert shown.count("missing ") == 5
    assert "plus.figshare.com/ndownloader/files/43635873" in shown
    assert "osf.io/jum2f" in shown


def test_the_demos_own_trees(config, tmp_path):
    """The simulation's files, which share no code with the readers, pass as real ones would."""
    nsd = config["demo-nsd"] | {"root": str(tmp_path / "nsd"), "simulate": {"sessions": 2}}
    simulate_nsd.main(
        str(tmp_path / "nsd"), [str(tmp_path / "subj01.npz")],
        SMALL | {"subjects": ["subj01"], "images": 24, "shared_images": 4, "sessions": 2,
                 "trials_per_session": 24,
                 "voxels": dict.fromkeys(("V1", "V2", "V3", "V4", "ventral"), 8)},
    )  # fmt: skip
    things = config["demo-things"] | {"root": str(tmp_path / "things")}
    simulate_things.main(
        str(tmp_path / "things"), [str(tmp_path / "sub-01.npz")],
        SMALL | {"subjects": ["sub-01"], "train_images": 12, "test_images": 2, "sessions": 3,
                 "runs": 2, "voxels": dict.fromkeys(REGIONS, 6)},
    )  # fmt: skip
    check_data.main({"demo-nsd": nsd, "demo-things": things}, str(tmp_path / "out.txt"))
    shown = (tmp_path / "out.txt").read_text()
    assert shown.count("all well") == 2
    nsd_said, things_said = shown.split("\n\n")
    assert area_line(nsd_said, "subj01: lower").startswith("32 voxels")
    assert area_line(nsd_said, "subj01: higher").startswith("8 voxels")
    assert area_line(things_said, "sub-01: lower").startswith("24 voxels")
    assert area_line(things_said, "sub-01: higher").startswith("42 voxels")


def test_all_eight_subjects_of_nsd(config, tmp_path):
    """Four visual areas and the ventral stream, half of each in each hemisphere."""
    subjects = [f"subj{number:02d}" for number in range(1, 9)]
    simulate_nsd.main(
        str(tmp_path / "nsd"), [str(tmp_path / f"{subject}.npz") for subject in subjects],
        SMALL | {"subjects": subjects, "images": 24, "shared_images": 4, "sessions": 2,
                 "trials_per_session": 24,
                 "voxels": dict.fromkeys(("V1", "V2", "V3", "V4", "ventral"), 8)},
    )  # fmt: skip
    nsd = config["demo-nsd"] | {"root": str(tmp_path / "nsd"), "simulate": {"sessions": 2}}
    for hemisphere, n_voxels in (("both", 32), ("left", 16), ("right", 16)):
        settings = nsd | {"subjects": subjects, "hemisphere": hemisphere}
        check_data.main({"nsd": settings}, str(tmp_path / "out.txt"))
        shown = (tmp_path / "out.txt").read_text()
        assert shown.count("all well") == 8
        for subject in subjects:
            assert area_line(shown, f"{subject}: lower").startswith(f"{n_voxels} voxels")


@pytest.fixture
def things(config, tmp_path):
    """The demo's THINGS, small, with enough voxels to compare."""
    root = tmp_path / "things"
    simulate_things.main(
        str(root), [str(tmp_path / "sub-01.npz")],
        SMALL | {"subjects": ["sub-01"], "train_images": 16, "test_images": 20, "sessions": 4,
                 "runs": 2, "voxels": dict.fromkeys(REGIONS, 12)},
    )  # fmt: skip
    return {"things": config["demo-things"] | {"root": str(root)}}


CHANGED_ORDERS = {
    "from last to first": lambda rows: rows[::-1],
    "shuffled": lambda rows: np.random.default_rng(0).permutation(rows),
    "shifted": lambda rows: np.roll(rows, len(rows) // 3),
}


@pytest.mark.parametrize("order", CHANGED_ORDERS)
def test_the_released_ceilings_tell_of_rows_in_another_order(things, order, tmp_path):
    """The file's own voxel_id stays as it was: nothing else in the release tells."""
    check_data.main(things, str(tmp_path / "out.txt"))
    assert "nc_testset correlate at 1.00" in (tmp_path / "out.txt").read_text()
    with h5py.File(tmp_path / "things/betas_csv/sub-01_ResponseData.h5", "r+") as file:
        values = file["ResponseData"].values()
        block = next(item for item in values if item.dtype.kind == "f" and item.ndim == 2)
        block[...] = CHANGED_ORDERS[order](block[...])
    with pytest.raises(InputError, match=r"ResponseData.h5: .*rows those of VoxelMetadata\.csv"):
        check_data.main(things, str(tmp_path / "again.txt"))


def area_line(shown: str, area: str) -> str:
    """What is said of an area's voxels."""
    line = next(line for line in shown.splitlines() if f" {area} " in line)
    return line.split(f" {area} ")[1].strip()


def test_poisoned_test_trials_leave_what_is_written_as_it_was(tmp_path):
    """What the jobs after it wait for tells of files, not of what the test trials hold."""
    raw_files.write_custom(tmp_path / "mine")
    settings = raw_files.custom_settings(tmp_path / "mine")
    (subject,) = settings["subjects"]
    folder = tmp_path / "mine" / subject
    trials = pd.read_csv(folder / "trials.csv")
    check_data.main({"mine": settings}, str(tmp_path / "clean.txt"))
    responses = np.load(folder / "responses.npy")
    of_test = (trials["split"] == "test").to_numpy()
    assert of_test.any()
    responses[of_test] = 7 - 3 * responses[of_test]
    np.save(folder / "responses.npy", responses)
    check_data.main({"mine": settings}, str(tmp_path / "poisoned.txt"))
    assert (tmp_path / "clean.txt").read_bytes() == (tmp_path / "poisoned.txt").read_bytes()
