"""One GPU: its jobs run one after another, while others run beside them."""

import subprocess
from pathlib import Path

import pytest

from tests import snakemake_log as log

ROOT = Path(__file__).parents[2]
SUBJECT = "results/demo-nsd/subj01"
LATENTS = [f"{SUBJECT}/latents/{target}/test.zarr" for target in ("image", "text")]
RESPONSES = [f"{SUBJECT}/responses/lower/test.zarr"]

pytestmark = pytest.mark.workflow


def run(snakemake: str, folder: Path, *arguments: str) -> str:
    """What Snakemake says of a run of the small study, whose jobs with a model ask for a GPU."""
    command = [snakemake, "--snakefile", str(ROOT / "Snakefile"), "--cores", "3", *arguments]
    overlays = [str(ROOT / "config/test.yaml"), str(ROOT / "tests/small.yaml")]
    done = subprocess.run(
        [*command, "--configfile", *overlays], capture_output=True, text=True, cwd=folder
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return done.stderr


def most_gpu_jobs(text: str) -> int:
    return max(sum(job.gpus for job in jobs) for jobs in log.at_once(text))


@pytest.fixture(scope="module")
def first(snakemake, tmp_path_factory) -> tuple[Path, str]:
    """A run with what profiles/default says, from nothing."""
    folder = tmp_path_factory.mktemp("lanes")
    return folder, run(snakemake, folder, *LATENTS, *RESPONSES)


def test_gpu_jobs_run_one_at_a_time_beside_others(first):
    _, text = first
    asking = {job.rule for job in log.begun(text) if job.gpus}
    assert asking == {"encode_images", "encode_captions"}
    assert most_gpu_jobs(text) == 1
    beside = [{job.gpus > 0 for job in jobs} == {True, False} for jobs in log.at_once(text) if jobs]
    assert any(beside)


@pytest.mark.parametrize("n_gpus", [1, 2])
def test_as_many_gpu_jobs_run_at_once_as_there_are_gpus(first, snakemake, n_gpus):
    """With two they do run at once: it is the GPU that holds them apart."""
    folder, _ = first
    again = ["--forcerun", "encode_images", "encode_captions"]
    text = run(snakemake, folder, *LATENTS, "--resources", f"gpu={n_gpus}", *again)
    assert len([job for job in log.begun(text) if job.gpus]) == 2
    assert most_gpu_jobs(text) == n_gpus
