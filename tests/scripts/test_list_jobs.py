"""The list of jobs is Snakemake's own, finished or not."""

import sys
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
import yaml

from afterimage import stores
from afterimage.errors import InputError
from workflow_scripts.list_jobs import main

ROOT = Path(__file__).parents[2]
SNAKEFILE = str(ROOT / "Snakefile")
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())


def test_every_job_of_the_demo_is_listed_with_its_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "jobs.json"
    main(
        str(out), str(ROOT / "Snakefile"), CONFIG, ["results/tables/latent_mse.csv"], sys.executable
    )
    jobs = stores.read_json(out)
    trained = [job for job in jobs if job["rule"] == "train_decoder"]
    assert len(trained) == 12
    for job in trained:
        wildcards = job["wildcards"]
        folder = "results/{dataset}/{subject}/decoders/{target}-{decoder}".format(**wildcards)
        assert f"{folder}/model.json" in job["outputs"]
        assert any(path.endswith("responses/lower/train.zarr") for path in job["inputs"]) == (
            wildcards["target"] == "image"
        )
    assert not (tmp_path / "jobs.json.config.json").exists()


def test_outputs_of_jobs_that_run_at_the_same_time_are_no_hindrance(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begun = "results/demo-nsd/subj01/trials.parquet"
    (tmp_path / begun).parent.mkdir(parents=True)
    (tmp_path / begun).touch()
    # How Snakemake remembers a job in progress, or one that was interrupted.
    marks = tmp_path / ".snakemake" / "incomplete"
    marks.mkdir(parents=True)
    (marks / urlsafe_b64encode(begun.encode()).decode()).touch()
    out = tmp_path / "jobs.json"
    main(
        str(out), str(ROOT / "Snakefile"), CONFIG, ["results/tables/latent_mse.csv"], sys.executable
    )
    assert any(begun in job["outputs"] for job in stores.read_json(out))


def test_a_config_that_does_not_run_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    broken = {**CONFIG, "seed": "none"}
    with pytest.raises(InputError, match="a dry run of all jobs"):
        main(
            str(tmp_path / "jobs.json"),
            str(ROOT / "Snakefile"),
            broken,
            ["results/jobs.json"],
            sys.executable,
        )
