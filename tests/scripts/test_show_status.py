"""The status of a run, read off its files."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from afterimage.provenance import jobs_of_dry_run
from workflow_scripts.show_status import jobs_of, last_error, main, read_config, shared_jobs

ROOT = Path(__file__).parents[2]

CONFIG = {
    "run": {
        "datasets": ["lab"],
        "decoders": {"image": ["linear"], "text": ["linear", "cnn"]},
        "methods": ["linear", "oracle"],
    },
    "datasets": {"lab": {"format": "custom", "root": "x", "subjects": ["a"], "shards": 2}},
}


def line(text: str, rule: str) -> list[str]:
    return next(row.split() for row in text.splitlines() if row.split()[-1:] == [rule])


def test_nothing_is_done_at_first(tmp_path):
    text = main(CONFIG, str(tmp_path))
    assert line(text, "train_decoder") == ["to", "do", "0", "of", "3", "train_decoder"]
    assert line(text, "reconstruct_images") == ["to", "do", "0", "of", "4", "reconstruct_images"]
    assert "failed" not in text


def test_done_started_and_failed_are_told_apart(tmp_path):
    (tmp_path / "lab/a/decoders/text-cnn").mkdir(parents=True)
    (tmp_path / "lab/a/decoders/text-cnn/model.json").write_text("{}")
    (tmp_path / "lab/a/trials.parquet").touch()
    logs = tmp_path / "logs" / "build_graph"
    logs.mkdir(parents=True)
    (logs / "lab-a.log").write_text("reading\nERROR graph.yaml: expected V1, found V9\n")
    text = main(CONFIG, str(tmp_path))
    assert line(text, "index_trials")[0] == "done"
    assert line(text, "train_decoder") == ["started", "1", "of", "3", "train_decoder"]
    assert line(text, "build_graph")[0] == "failed"
    assert "graph.yaml: expected V1, found V9" in text
    assert "see results/logs/build_graph/lab-a.log" in text


def test_a_job_at_work_or_killed_is_started_with_its_last_line(tmp_path):
    log = tmp_path / "logs" / "build_graph" / "lab-a.log"
    log.parent.mkdir(parents=True)
    log.write_text("reading\nepoch 3 of 9\n\n")
    text = main(CONFIG, str(tmp_path))
    assert line(text, "build_graph") == ["started", "0", "of", "1", "build_graph"]
    assert "begun, not finished: epoch 3 of 9" in text
    assert "see results/logs/build_graph/lab-a.log" in text


@pytest.mark.parametrize("content", ["run: {datasets: [demo-nsdd]}", None])
def test_a_mistyped_config_is_one_line(content, tmp_path):
    path = tmp_path / "typo.yaml"
    if content:
        path.write_text(content)
    command = [sys.executable, "workflow_scripts/show_status.py", "--configfile", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert said.returncode == 1
    assert said.stderr.startswith("ERROR ")
    assert said.stderr.count("\n") == 1


def test_an_error_whose_output_came_later_is_no_failure(tmp_path):
    logs = tmp_path / "logs" / "index_trials"
    logs.mkdir(parents=True)
    (logs / "lab-a.log").write_text("ERROR once\n")
    (tmp_path / "lab/a").mkdir(parents=True)
    (tmp_path / "lab/a/trials.parquet").touch()
    assert line(main(CONFIG, str(tmp_path)), "index_trials")[0] == "done"


def test_a_traceback_gives_its_last_line(tmp_path):
    log = tmp_path / "x.log"
    log.write_text("Traceback (most recent call last):\n  File x\nMemoryError: 8 GB\n\n")
    assert last_error(log) == "MemoryError: 8 GB"
    log.write_text("epoch 3: 0.1\n")
    assert last_error(log) == ""
    assert last_error(tmp_path / "none.log") == ""


def test_overlays_change_single_settings(tmp_path):
    base, over = tmp_path / "base.yaml", tmp_path / "over.yaml"
    base.write_text(yaml.safe_dump(CONFIG))
    over.write_text(yaml.safe_dump({"datasets": {"lab": {"shards": 5}}}))
    config = read_config([str(base), str(over)])
    assert config["datasets"]["lab"] == {**CONFIG["datasets"]["lab"], "shards": 5}
    shards = [job for job in jobs_of(config, "lab", "a") if job.rule == "reconstruct_images"]
    assert len(shards) == 10
    assert shards[0].outputs == ("lab/a/reconstructions/linear/shard1of5",)
    assert shards[0].log == "logs/reconstruct_images/lab-a-linear-1of5.log"


EXTERNAL = {"theirs": {"demo-nsd": {"subj01": "pictures"}}}
NONE = {"image": [], "text": []}
CHANGES = {
    "the small demo": {},
    "another system": {"external": EXTERNAL, "run": {"methods": ["best", "oracle", "theirs"]}},
    "a candidate that is not scored": {
        "run": {"decoders": {"image": ["linear"], "text": []}, "methods": ["best", "linear"]}
    },
    "another system and no decoder": {
        "external": EXTERNAL,
        "run": {"methods": ["oracle", "theirs"], "decoders": NONE},
    },
    "another system alone": {
        "external": EXTERNAL,
        "run": {"methods": ["theirs"], "decoders": NONE, "datasets": ["demo-nsd"]},
    },
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_knows_the_jobs_that_snakemake_would_run(change, snakemake, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "overlay.yaml").write_text(yaml.safe_dump(change))
    files = [str(ROOT / "config/test.yaml"), str(tmp_path / "overlay.yaml")]
    command = [snakemake, "--snakefile", str(ROOT / "Snakefile"), "--cores", "1"]
    command += ["--dry-run", "--forceall", "--configfile", *files]
    said = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert said.returncode == 0, said.stderr[-2000:]
    planned = {}
    for job in jobs_of_dry_run(said.stdout + said.stderr):
        made = {output.removeprefix("results/") for output in job["outputs"]}
        planned.setdefault(job["rule"], []).append(made)
    # The first has no output, the second makes resources and no results.
    del planned["all"], planned["fetch_weights"]
    config = read_config([str(ROOT / "config.yaml"), *files])
    known = {}
    for job in shared_jobs(config):
        known.setdefault(job.rule, []).append(job)
    for dataset in config["run"]["datasets"]:
        for subject in config["datasets"][dataset]["subjects"]:
            for job in jobs_of(config, dataset, subject):
                known.setdefault(job.rule, []).append(job)
    assert {rule: len(jobs) for rule, jobs in known.items()} == {
        rule: len(jobs) for rule, jobs in planned.items()
    }
    for rule, jobs in known.items():
        for job in jobs:
            assert any(set(job.outputs) <= made for made in planned[rule]), job


def test_pictures_of_another_system_are_a_stage(tmp_path):
    config = {**CONFIG, "external": {"theirs": {"lab": {"a": "pictures"}}}}
    config["run"] = {**CONFIG["run"], "methods": ["linear", "theirs"]}
    logs = tmp_path / "logs" / "import_pictures"
    logs.mkdir(parents=True)
    (logs / "lab-a-theirs.log").write_text("ERROR pictures: expected PNGs, found none\n")
    text = main(config, str(tmp_path))
    assert line(text, "import_pictures")[:4] == ["failed", "0", "of", "1"]
    assert line(text, "reconstruct_images") == ["to", "do", "0", "of", "2", "reconstruct_images"]
    assert line(text, "score_images") == ["to", "do", "0", "of", "2", "score_images"]
