"""The whole workflow on the small configuration, from raw files to tables and a page."""

import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def finished(snakemake, tmp_path_factory):
    """Results of one run, in a folder of its own: another working directory."""
    folder = tmp_path_factory.mktemp("run")
    done = run(snakemake, folder)
    assert done.returncode == 0, done.stderr[-5000:]
    return folder


def run(snakemake: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [snakemake, "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    command += ["--configfile", str(ROOT / "config/test.yaml"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


def test_the_tables_hold_every_decoder_split_and_method(finished):
    latents = pd.read_csv(finished / "results/tables/latent_mse.csv")
    columns = "dataset subject target decoder split score value low high n".split()
    assert latents.columns[: len(columns)].tolist() == columns
    share = latents[latents.score == "share_of_optimal"]
    assert len(share) == 2 * 3
    assert set(share.split) == {"test"}
    mse = latents[latents.score == "mse"]
    assert len(mse) == 2 * 3 * 3
    assert (mse.low <= mse.value).all()
    assert (mse.value <= mse.high).all()
    images = pd.read_csv(finished / "results/tables/image_metrics.csv")
    columns = "dataset subject method protocol metric value low high n_images n_samples".split()
    assert images.columns[: len(columns)].tolist() == columns
    assert set(images.method) >= {"best", "shuffled", "oracle"}
    pcc = images[(images.metric == "pcc") & images.method.isin(["best", "oracle"])]
    assert pcc.value.notna().all()
    missing = images[images.value.isna()]
    assert (missing.reason.str.len() > 0).all()


def test_the_page_is_there(finished):
    page = (finished / "results/report/index.html").read_text()
    assert "simulated" in page.lower()


def test_nothing_leaked(finished):
    proof = json.loads((finished / "results/leak_proof.json").read_text())
    assert proof["holds"] is True


def test_every_job_has_a_log_and_a_timing(finished):
    jobs = json.loads((finished / "results/jobs.json").read_text())
    rules = {job["rule"] for job in jobs}
    assert len(rules) >= 15
    for rule in rules:
        assert list((finished / "results/logs" / rule).glob("*.log")), rule
        assert list((finished / "results/benchmarks" / rule).glob("*.tsv")), rule


def test_a_second_run_has_nothing_to_do(finished, snakemake):
    done = run(snakemake, finished, "-n")
    assert "Nothing to be done" in done.stdout + done.stderr
