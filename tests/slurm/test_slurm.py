"""The workflow through a real SLURM: jobs cancelled, out of memory, and left by a killed Snakemake.

One study in two runs. In the first, one job is cancelled and one is given too little memory; when
both were tried again, Snakemake is killed while a decoder trains. The second goes on, and asks for
the GPU of one rule by --gres, as the profile says it is done. Each job asks for what its rule
states; the node pretends to have that much.
"""

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
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

GPU_RULES = {
    "encode_captions",
    "encode_images",
    "estimate_optimal",
    "predict_latents",
    "reconstruct_images",
    "score_images",
    "train_decoder",
}
CANCELLED = "build_graph"
OUT_OF_MEMORY = "encode_images"
# It needs the results of both jobs that fail at first.
KILLED_DURING = "rule_train_decoder_wildcards_demo-nsd_subj01_image_gcn"
GROUPED = "sessions_read_betas"

pytestmark = pytest.mark.slurm


@dataclass
class Study:
    """What two runs left: the first was killed, the second went on with it."""

    folder: Path
    before: str
    after: str
    left: list[str]
    still_there: list[str]
    kept: dict[str, tuple[int, int]]


@pytest.fixture(scope="module")
def study(cluster, snakemake, tmp_path_factory) -> Study:
    folder = tmp_path_factory.mktemp("clustered")
    said = folder / "killed.log"
    too_little = f"{OUT_OF_MEMORY}:mem_mb=450 if attempt == 1 else 6000"
    with open(said, "w") as stream:
        run = subprocess.Popen(
            through_slurm(snakemake, "--set-resources", too_little),
            stdout=stream,
            stderr=stream,
            cwd=folder,
            start_new_session=True,
        )
    try:
        subprocess.run(["scancel", wait_for(f"rule_{CANCELLED}", run, said)], check=True)
        wait_for(KILLED_DURING, run, said)
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
    return Study(folder, before, done.stderr, left, still_there, kept)


def wait_for(comment: str, run: subprocess.Popen, said: Path) -> str:
    """The number of the first job of such a comment, as soon as SLURM runs it."""
    while run.poll() is None:
        for line in squeue("%i %k", "--states=RUNNING"):
            job, _, its_comment = line.partition(" ")
            if its_comment.startswith(comment):
                return job
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


@pytest.fixture(scope="module")
def first(study) -> pd.DataFrame:
    """What SLURM's accounting says of every job of the first run, in the order of submission."""
    return accounting(study.before)


@pytest.fixture(scope="module")
def second(study) -> pd.DataFrame:
    return accounting(study.after)


@pytest.fixture(scope="module")
def jobs(first, second) -> pd.DataFrame:
    return pd.concat([first, second], ignore_index=True)


def test_every_job_went_through_slurm(jobs):
    assert set(jobs.rule) >= GPU_RULES | {GROUPED, "extract_responses", "render_report"}


def test_gpu_rules_got_a_gpu_and_no_other_did(jobs):
    with_gpu = jobs.AllocTRES.str.contains("gres/gpu=1", na=False)
    assert set(jobs.rule[with_gpu]) == GPU_RULES
    started = jobs[jobs.AllocTRES.notna()]
    assert not (set(started.rule[~with_gpu]) & GPU_RULES)


def test_sessions_share_a_job(study, jobs):
    read = jobs[jobs.rule == GROUPED]
    assert read.State.tolist() == ["COMPLETED"]
    folder = study.folder / "results/demo-nsd/subj01/betas/train"
    assert [path.name for path in sorted(folder.iterdir())] == ["session01.zarr", "session02.zarr"]
    assert "read_betas" not in set(jobs.rule)


def test_a_cancelled_job_is_tried_again_with_more_memory_and_time(first):
    tried = first[first.rule == CANCELLED]
    assert tried.State.str.startswith("CANCELLED").tolist() == [True, False]
    assert tried.State.tolist()[-1] == "COMPLETED"
    asked_first, asked_second = (megabytes(asked) for asked in tried.ReqMem)
    assert asked_second == pytest.approx(2 * asked_first, abs=2)
    assert tried.TimelimitRaw.tolist() == [10, 20]


def test_a_job_out_of_memory_is_tried_again(first, cluster):
    tried = first[first.rule == OUT_OF_MEMORY]
    assert tried.ReqMem.tolist()[:2] == ["450M", "6000M"]
    assert tried.State.tolist()[-1] == "COMPLETED"
    assert "exceeded memory limit" in (cluster / "log/slurmd.log").read_text()


def megabytes(asked: str) -> float:
    return float(asked[:-1]) * {"M": 1, "G": 1024}[asked[-1]]


def test_jobs_outlive_snakemake(study):
    """Why they are to be ended first: they would write beside those of the next run."""
    assert study.left
    assert study.still_there


def test_nothing_that_was_finished_was_made_again(study):
    assert study.kept
    now = log.written(study.folder, tuple(study.kept))
    assert [name for name in study.kept if now.get(name) != study.kept[name]] == []
    finished = {job.outputs for job in log.finished(study.before)}
    assert {CANCELLED, OUT_OF_MEMORY} <= {job.rule for job in log.finished(study.before)}
    assert not finished & {job.outputs for job in log.begun(study.after)}


def test_a_gpu_can_be_asked_for_by_gres(study, second):
    trained = second[second.rule == "train_decoder"]
    assert len(trained) > 0
    assert trained.AllocTRES.str.contains("gres/gpu=1").all()
    asked = [job for job in log.begun(study.after) if job.rule == "train_decoder"]
    assert [job.gpus for job in asked] == [0] * len(trained)


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_those_of_a_local_run(local, study, name):
    assert_equal_tables(local, study.folder, name)
