"""The workflow through a real SLURM, with one job cancelled and one out of memory.

Each job of this small study asks for what its rule states; the node pretends to have that much.
"""

import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.slurm.study import TABLES, accounting, assert_equal_tables, squeue, through_slurm

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

pytestmark = pytest.mark.slurm


@pytest.fixture(scope="module")
def clustered(cluster, snakemake, tmp_path_factory) -> Path:
    """The study through SLURM: one job is cancelled, and one given too little memory at first."""
    folder = tmp_path_factory.mktemp("clustered")
    too_little = f"{OUT_OF_MEMORY}:mem_mb=450 if attempt == 1 else 6000"
    command = through_slurm(snakemake, "--set-resources", too_little)
    with open(folder / "run.log", "w") as log:
        run = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        try:
            cancel_one(CANCELLED, run)
            code = run.wait(timeout=1200)
        finally:
            run.kill()
    assert code == 0, (folder / "run.log").read_text()[-5000:]
    return folder


def cancel_one(rule: str, run: subprocess.Popen) -> None:
    """`scancel` the first job of a rule as soon as it runs."""
    while run.poll() is None:
        for line in squeue("%i %k", "--states=RUNNING"):
            job, comment = line.split(maxsplit=1)
            if comment.startswith(f"rule_{rule}"):
                subprocess.run(["scancel", job], check=True)
                return
        time.sleep(0.3)


@pytest.fixture(scope="module")
def jobs(clustered) -> pd.DataFrame:
    """What SLURM's accounting says of every job, in the order of submission."""
    return accounting((clustered / "run.log").read_text())


def test_every_job_went_through_slurm(jobs):
    assert set(jobs.rule) >= GPU_RULES | {"read_betas", "extract_responses", "render_report"}


def test_gpu_rules_got_a_gpu_and_no_other_did(jobs):
    with_gpu = jobs.AllocTRES.str.contains("gres/gpu=1", na=False)
    assert set(jobs.rule[with_gpu]) == GPU_RULES
    started = jobs[jobs.AllocTRES.notna()]
    assert not (set(started.rule[~with_gpu]) & GPU_RULES)


def test_a_cancelled_job_is_tried_again_with_more_memory_and_time(jobs):
    tried = jobs[jobs.rule == CANCELLED]
    assert tried.State.str.startswith("CANCELLED").tolist() == [True, False]
    assert tried.State.tolist()[-1] == "COMPLETED"
    first, second = (megabytes(asked) for asked in tried.ReqMem)
    assert second == pytest.approx(2 * first, abs=2)
    assert tried.TimelimitRaw.tolist() == [10, 20]


def test_a_job_out_of_memory_is_tried_again(jobs, cluster):
    tried = jobs[jobs.rule == OUT_OF_MEMORY]
    assert tried.ReqMem.tolist()[:2] == ["450M", "6000M"]
    assert tried.State.tolist()[-1] == "COMPLETED"
    assert "exceeded memory limit" in (cluster / "log/slurmd.log").read_text()


def megabytes(asked: str) -> float:
    return float(asked[:-1]) * {"M": 1, "G": 1024}[asked[-1]]


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_those_of_a_local_run(local, clustered, name):
    assert_equal_tables(local, clustered, name)
