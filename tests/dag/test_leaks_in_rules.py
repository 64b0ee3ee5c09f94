"""The proof is of the rules as they are: rules that leak are found out, with the path."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from afterimage.errors import InputError
from afterimage.provenance.leaks import MIXED_READERS
from afterimage.stores import read_json
from workflow_scripts import leak_proof, list_jobs

ROOT = Path(__file__).parents[2]
TABLES = ["results/tables/latent_mse.csv", "results/tables/image_metrics.csv"]

LEAKS = {
    "a decoder learns from test latents": (
        "decoders.smk",
        'latents_train="results/{dataset}/{subject}/latents/{target}/train.zarr"',
        'latents_train="results/{dataset}/{subject}/latents/{target}/test.zarr"',
        "latents/.*/test.zarr",
    ),
    "a decoder stops by test responses": (
        "decoders.smk",
        'rule train_decoder:\n    """Fit one decoder of one target; validation images decide when '
        'it stops."""\n    input:\n        responses_train=responses_for("train"),\n'
        '        responses_validation=responses_for("validation"),',
        'rule train_decoder:\n    """Fit one decoder of one target; validation images decide when '
        'it stops."""\n    input:\n        responses_train=responses_for("train"),\n'
        '        responses_validation=responses_for("test"),',
        "responses/.*/test.zarr",
    ),
    "selection reads test scores": (
        "decoders.smk",
        "    input:\n        candidate_model_files,\n",
        "    input:\n        candidate_model_files,\n"
        '        "results/{dataset}/{subject}/scores/latents-image-linear.test.parquet",\n',
        "scores/latents-image-linear.test.parquet",
    ),
    "best sees the true latents": (
        "reconstructions.smk",
        "        selected=method_selection,\n",
        "        selected=method_selection,\n"
        '        truth="results/{dataset}/{subject}/latents/image/test.zarr",\n',
        "latents/image/test.zarr",
    ),
    "a decoder learns from raw files": (
        "decoders.smk",
        "        graph=graph_for,\n",
        "        graph=graph_for,\n        raw=raw_of,\n",
        "demo-[a-z]*/raw -> .* of rule train_decoder no test",
    ),
    "a decoder learns from the list of trials": (
        "decoders.smk",
        "        graph=graph_for,\n",
        '        graph=graph_for,\n        peek="results/{dataset}/{subject}/trials.parquet",\n',
        "trials.parquet -> .* of rule train_decoder no test",
    ),
    "selection reads raw files": (
        "decoders.smk",
        "    input:\n        candidate_model_files,\n",
        "    input:\n        candidate_model_files,\n        raw_of,\n",
        "demo-[a-z]*/raw -> .* of rule select_decoder no test",
    ),
}


@pytest.fixture
def copied(tmp_path, monkeypatch) -> Path:
    """The workflow's own files, to be edited; the package and the models are those of here."""
    for name in ("rules", "schemas", "config", "workflow_scripts"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("afterimage", "resources", "envs"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prove(folder: Path, n_seeds: int = 1) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["run"]["training_seeds"] = n_seeds
    list_jobs.main(str(folder / "jobs.json"), str(folder / "Snakefile"), config, TABLES)
    leak_proof.main(str(folder / "jobs.json"), str(folder / "proof.json"))


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_the_rules_as_they_are_hold(copied, n_seeds):
    prove(copied, n_seeds)
    methods = {entry["method"] for entry in read_json(copied / "proof.json")["methods"]}
    assert ("best/seed1" in methods) == (n_seeds == 2)
    assert set(read_json(copied / "proof.json")["mixed_readers"]) == set(MIXED_READERS)


def test_every_rule_that_may_read_files_of_every_split_has_a_test_that_poisons_them():
    """A function named so is in the test file of the rule's script, and of no other rule."""
    poisoned = {
        path.stem.removeprefix("test_")
        for path in (ROOT / "tests/scripts").glob("test_*.py")
        if re.search(r"^def test_\w*poison", path.read_text(), flags=re.MULTILINE)
    }
    assert poisoned == set(MIXED_READERS)


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_named_with_its_path(copied, name):
    file, text, leak, said = LEAKS[name]
    rules = copied / "rules" / file
    assert rules.read_text().count(text) == 1
    rules.write_text(rules.read_text().replace(text, leak))
    with pytest.raises(InputError, match=said):
        prove(copied)
