"""Snakemake killed while its jobs are in SLURM: what was finished stays, and the rest is made.

The run that goes on asks for the GPU of one rule by --gres, as the profile says it is done.
"""

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import snakemake_log as log
from tests.slurm.study import (
    ROOT,
    TABLES,
    accounting,
    assert_equal_tables,
    squeue,
    through_slurm,
)

IN_FLIGHT = {"encode_images", "encode_captions"}

pytestmark = pytest.mark.slurm


@dataclass
class Resumed:
    """A run that was killed, and the one that went on with it."""

    folder: Path
    before: str
    after: str
    left: list[str]
    still_there: list[str]
    kept: dict[str, tuple[int, int]]


@pytest.fixture(scope="module")
def resumed(cluster, snakemake, tmp_path_factory) -> Resumed:
    folder = tmp_path_factory.mktemp("resumed")
    said = folder / "killed.log"
    with open(said, "w") as stream:
        run = subprocess.Popen(
            through_slurm(snakemake),
            stdout=stream,
            stderr=stream,
            cwd=folder,
            start_new_session=True,
        )
    try:
        wait_until_a_model_runs(run, said)
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    before = said.read_text()
    left = squeue("%i")
    time.sleep(3)
    still_there = squeue("%i", "--states=RUNNING")
    end_jobs_as_the_readme_says()
    outputs = tuple(output for job in log.finished(before) for output in job.outputs)
    kept = log.written(folder, outputs)
    unlock = [snakemake, "--snakefile", str(ROOT / "Snakefile"), "--unlock"]
    subprocess.run(unlock, cwd=folder, check=True, capture_output=True)
    command = through_slurm(snakemake, profile=with_gres(folder / "profile"))
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr[-5000:]
    return Resumed(folder, before, done.stderr, left, still_there, kept)


def with_gres(folder: Path) -> Path:
    """The profile with its lines for a cluster without --gpus, in the partition that there is."""
    text = (ROOT / "profiles/slurm/profile.yaml").read_text()
    lines = """# set-resources:
#   train_decoder: {slurm_partition: gpu, gpu: 0, gres: "'gpu:1'"}
"""
    assert lines in text
    mine = lines.replace("# ", "").replace("#", "").replace("slurm_partition: gpu, ", "")
    folder.mkdir()
    (folder / "profile.yaml").write_text(text.replace(lines, mine))
    return folder


def wait_until_a_model_runs(run: subprocess.Popen, said: Path) -> None:
    """Until jobs are finished, and SLURM runs one that takes a while."""
    while run.poll() is None:
        running = squeue("%k", "--states=RUNNING")
        if log.finished(said.read_text()) and any(
            comment.startswith(f"rule_{rule}") for comment in running for rule in IN_FLIGHT
        ):
            return
        time.sleep(0.3)
    raise AssertionError(said.read_text()[-5000:])


def end_jobs_as_the_readme_says() -> None:
    """They all carry the name of the run; `squeue` alone shows the first letters of it."""
    names = set(squeue("%j"))
    assert len(names) == 1
    subprocess.run(["scancel", "--name", names.pop()], check=True)
    deadline = time.monotonic() + 60
    while squeue("%i") and time.monotonic() < deadline:
        time.sleep(0.3)
    assert squeue("%i") == []


def test_jobs_outlive_snakemake(resumed):
    """Why they are to be ended first: they would write beside those of the next run."""
    assert resumed.left
    assert resumed.still_there


def test_nothing_that_was_finished_was_made_again(resumed):
    assert resumed.kept
    now = log.written(resumed.folder, tuple(resumed.kept))
    assert [name for name in resumed.kept if now.get(name) != resumed.kept[name]] == []
    finished = {job.outputs for job in log.finished(resumed.before)}
    assert not finished & {job.outputs for job in log.begun(resumed.after)}


def test_a_gpu_can_be_asked_for_by_gres(resumed):
    trained = accounting(resumed.after).query("rule == 'train_decoder'")
    assert len(trained) > 0
    assert trained.AllocTRES.str.contains("gres/gpu=1").all()
    asked = [job for job in log.begun(resumed.after) if job.rule == "train_decoder"]
    assert [job.gpus for job in asked] == [0] * len(trained)


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_those_of_a_local_run(local, resumed, name):
    assert_equal_tables(local, resumed.folder, name)
