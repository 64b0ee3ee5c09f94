"""What runs again when a user's raw files or their settings change, and what does not."""

import os
import re
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml

from afterimage.stores import read_arrays
from tests import raw_files
from tests.damages import BEHAVIOUR, SESSION, zero_in_place

ROOT = Path(__file__).parents[2]
TARGETS = [f"results/mine/subj01/responses/{area}/train.zarr" for area in ("lower", "higher")]

pytestmark = pytest.mark.workflow


class Study:
    """A tiny release and the responses made of it."""

    def __init__(self, snakemake: str, folder: Path) -> None:
        self.snakemake, self.folder, self.raw = snakemake, folder, folder / "raw"
        raw_files.write_nsd(self.raw)
        demo = yaml.safe_load((ROOT / "config.yaml").read_text())["datasets"]["demo-nsd"]
        self.entry = {name: value for name, value in demo.items() if name != "simulate"}
        self.entry |= raw_files.nsd_settings(self.raw)
        self.entry["split"] = {"scheme": "official", "validation_fraction": 0.5}
        self.entry["graph"] = {**demo["graph"], "nodes": {"V1": ["V1"], "V4": ["V4"]}}

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        config = {"run": {"datasets": ["mine"]}, "datasets": {"mine": self.entry}}
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config))
        command = [self.snakemake, *TARGETS, "--snakefile", str(ROOT / "Snakefile"), "--cores", "1"]
        command += ["--configfile", "config.yaml", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=self.folder)

    def ran(self, *arguments: str) -> dict[str, int]:
        """Rule -> jobs of a run that goes well."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return jobs(done)

    def session(self, number: int) -> np.ndarray:
        folder = self.folder / "results/mine/subj01/betas/train"
        return read_arrays(folder / f"session{number:02d}.zarr")["lower"]


def jobs(done: subprocess.CompletedProcess) -> dict[str, int]:
    """Rule -> jobs that began."""
    began = re.findall(
        r"^(?:local)?(?:rule|checkpoint) (\w+):$", done.stdout + done.stderr, re.MULTILINE
    )
    return dict(Counter(began))


@pytest.fixture(scope="module")
def study(snakemake, tmp_path_factory):
    study = Study(snakemake, tmp_path_factory.mktemp("study"))
    done = study.run()
    assert done.returncode == 0, done.stderr
    return study


def test_a_touched_file_is_only_looked_at(study):
    assert study.ran("-n") == {}
    os.utime(study.raw / SESSION, (1, 1))
    assert study.ran() == {"check_data": 1}
    assert study.ran("-n") == {}


def test_other_betas_of_the_same_size_are_read_again_and_those_of_other_sessions_not(study):
    before = study.session(1), study.session(2)
    raw_files.write_betas(study.raw / SESSION, raw_files.nsd_betas()[1] + np.int16(300))
    assert study.ran() == {"check_data": 1, "read_betas": 1, "extract_responses": 1}
    np.testing.assert_allclose(study.session(2), before[1] + 1, rtol=1e-5)
    assert np.array_equal(study.session(1), before[0])
    assert study.ran("-n") == {}


def test_a_file_that_vanished_stops_the_work_and_coming_back_costs_a_look(study):
    (study.raw / SESSION).rename(study.folder / "away")
    done = study.run()
    assert done.returncode != 0
    assert "betas_session02.hdf5: expected betas of session 2" in done.stderr
    assert jobs(done) == {"check_data": 1}
    (study.folder / "away").rename(study.raw / SESSION)
    assert study.ran() == {"check_data": 1}


def test_a_table_that_vanished_makes_the_trials_anew(study):
    (study.raw / BEHAVIOUR).unlink()
    expected = {"check_data": 1, "index_trials": 1, "read_betas": 2, "extract_responses": 1}
    assert study.ran() == expected


def test_a_setting_that_the_check_sees_reaches_what_reads_it_in_the_same_run(study):
    before = study.session(1).shape[1]
    study.entry["areas"]["lower"]["regions"].pop("V4")
    study.entry["graph"]["nodes"].pop("V4")
    assert study.ran() == {"check_data": 1, "read_betas": 2, "extract_responses": 1}
    assert 0 < study.session(1).shape[1] < before


def test_a_datasets_own_responses_reach_their_rule_and_no_other(study):
    study.entry["responses"] = {"normalise": "scalar"}
    assert study.ran() == {"extract_responses": 1}


def test_a_voxel_that_one_session_lost_is_dropped_from_all_with_a_count(study):
    study.entry["responses"] = {"normalise": "voxel", "max_bad_voxels": 0.5}
    study.ran()
    zero_in_place([(0, 1, 0)])(study.raw / SESSION)
    assert study.ran() == {"check_data": 1, "read_betas": 1, "extract_responses": 1}
    logs = study.folder / "results/logs"
    said = (logs / "read_betas/mine-subj01-session02.log").read_text()
    assert "lower: 1 voxels without data in session02" in said
    said = (logs / "extract_responses/mine-subj01-train.log").read_text()
    assert "lower area, train: dropped 1 of 3 voxels (33.3%)" in said
    responses = read_arrays(study.folder / TARGETS[0])
    assert responses["voxel_kept"].tolist() == [False, True, True]
    assert responses["x"].shape[1] == 2
    study.entry["responses"]["max_bad_voxels"] = 0.1
    done = study.run()
    assert done.returncode != 0
    assert "betas_session02.hdf5: expected at most 10.0% of voxels without data" in done.stderr
    assert jobs(done) == {"check_data": 1}
