"""The config: complete, described, checked before anything runs."""

import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest
import yaml

from afterimage import decoders, methods
from afterimage.configuration import check_configuration
from afterimage.errors import InputError

ROOT = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((ROOT / "schemas/config.schema.yaml").read_text())
OVERLAYS = sorted((ROOT / "config").glob("*.yaml"))


def merge(base: dict, overlay: dict) -> dict:
    """As Snakemake merges --configfile: mappings by key, everything else replaced."""
    merged = dict(base)
    for key, value in overlay.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def config_with(path: Path | None) -> dict:
    base = yaml.safe_load((ROOT / "config.yaml").read_text())
    return merge(base, yaml.safe_load(path.read_text())) if path else base


def dry_run(snakemake: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [snakemake, "--snakefile", str(ROOT / "Snakefile"), "--cores", "1", "-n"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=folder)


@pytest.mark.parametrize("path", [None, *OVERLAYS], ids=lambda path: path.stem if path else "demo")
def test_shipped_configs_hold_to_the_schema(path):
    config = config_with(path)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(config, SCHEMA)
    check_configuration(config)


def properties(schema: dict, where: str):
    for name, value in schema.get("properties", {}).items():
        yield f"{where}.{name}", value
        yield from properties(value, f"{where}.{name}")
    for key in ("additionalProperties", "items"):
        if isinstance(schema.get(key), dict):
            yield f"{where}.*", schema[key]
            yield from properties(schema[key], f"{where}.*")


def test_every_property_is_described_and_closed():
    found = list(properties(SCHEMA, ""))
    for name, definition in SCHEMA["$defs"].items():
        found += [(name, definition), *properties(definition, name)]
    assert len(found) > 80
    for where, schema in found:
        described = "description" in schema or "$ref" in schema
        assert described, f"{where} has no description"
        if "properties" in schema and "kind" not in schema["properties"]:
            assert schema.get("additionalProperties") is False, f"{where} takes any name"


@pytest.mark.parametrize(
    ("overlay", "said"),
    [
        ("selection: {candidates: {image: [gnc]}}", "gcn"),
        ("run: {datasets: [demo-nds]}", "demo-nsd"),
        ("run: {methods: [bset]}", "best"),
        ("decoders: {image: {gcn: {kind: gnc}}}", "gcn"),
        ("decoders: {image: {gcn: {learning_rat: 0.1}}}", "learning_rate"),
        ("reconstruction: {strenght: 0.5}", "did you mean 'strength'"),
        ("reconstruction: {strength: 2}", "reconstruction.strength: expected maximum 1, found 2"),
        ("run: {decoders: {image: gnc}}", "run.decoders.image: expected array, found 'gnc'"),
        (
            "datasets: {demo-nsd: {n_sessions: {subj01: abc}}}",
            "n_sessions.subj01: expected integer",
        ),
        ("scoring: {networks: [alexnt]}", "did you mean 'alexnet'"),
        ("scoring: {weights: {folder: /nowhere}}", "scoring.weights.folder: expected a folder"),
        ("scoring: {protocols: [brain-difuser]}", "brain-diffuser"),
        (
            "datasets: {demo-nsd: {graph: {nodes: {V1: [V9]}}}}",
            "a region of the lower area, found 'V9'",
        ),
    ],
)
def test_a_typo_gives_its_line_before_anything_runs(snakemake, tmp_path, overlay, said):
    (tmp_path / "overlay.yaml").write_text(overlay)
    done = dry_run(snakemake, tmp_path, "--configfile", str(tmp_path / "overlay.yaml"))
    assert done.returncode != 0
    lines = (done.stdout + done.stderr).splitlines()
    assert sum(said in line for line in lines) == 1
    assert "Traceback" not in done.stdout + done.stderr
    # The file that was read, the kind of error, where in the Snakefile, and the line itself.
    assert len([line for line in lines if line.strip()]) <= 8


def job_counts(output: str) -> dict[str, int]:
    lines = output[output.index("Job stats:") :].splitlines()[3:]
    rows = (line.split() for line in lines)
    counts = {}
    for row in rows:
        if len(row) != 2:
            break
        counts[row[0]] = int(row[1])
    return counts


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        (
            "nsd",
            {
                "read_betas": 37,
                "train_decoder": 6,
                "reconstruct_images": 7 * 4,
                "score_latents": 3,
            },
        ),
        (
            "things",
            {"read_betas": 1, "train_decoder": 6, "reconstruct_images": 7, "score_latents": 3},
        ),
    ],
)
def test_the_full_studies_have_their_jobs(snakemake, tmp_path, overlay, expected):
    done = dry_run(snakemake, tmp_path, "--configfile", str(ROOT / f"config/{overlay}.yaml"))
    assert done.returncode == 0, done.stderr
    counts = job_counts(done.stdout + done.stderr)
    assert {rule: counts.get(rule) for rule in expected} == expected
    assert not any(rule.startswith("simulate") for rule in counts)


def test_overlays_hold_the_reports_numbers():
    nsd, things = (config_with(ROOT / f"config/{name}.yaml") for name in ("nsd", "things"))
    voxels = [
        [areas[area]["expected_voxels"] for area in ("lower", "higher")]
        for areas in (nsd["datasets"]["nsd"]["areas"], things["datasets"]["things"]["areas"])
    ]
    assert voxels == [[10631, 7604], [3198, 5183]]
    rates = [
        [config["decoders"][target][name]["learning_rate"] for target, name in TABLE_2]
        for config in (nsd, things)
    ]
    assert rates == [[1e-4, 5e-4, 5e-4, 1e-3], [1e-3, 5e-4, 5e-4, 1.5e-3]]
    sizes = [nsd["decoders"][target][name]["batch_size"] for target, name in TABLE_2]
    assert sizes == [16, 256, 256, 64]


TABLE_2 = [("text", "cnn"), ("image", "cnn"), ("image", "vae"), ("image", "gcn")]


@pytest.mark.parametrize("overlay", ["nsd", "things"])
def test_full_studies_take_no_hyper_parameter_from_the_demo(overlay):
    """An overlay is merged key by key: what it leaves out it would take from the demo's values."""
    base, own = config_with(None), yaml.safe_load((ROOT / f"config/{overlay}.yaml").read_text())
    for target, name in TABLE_2:
        left_out = set(base["decoders"][target][name]) - set(own["decoders"][target][name])
        assert left_out == {"kind"}, f"{target} {name}"
        assert own["decoders"][target][name]["input_noise"] == 0


WIRED = """    settings_type = Settings
    needs_graph = True
"""
"""In place of the walk-through's one line, as it says of decoders that need the graph."""


@pytest.mark.parametrize("wired", [False, True])
def test_a_new_decoders_entry_is_checked(tmp_path, monkeypatch, wired):
    code, entry = walk_through()
    if wired:
        code = code.replace("    settings_type = Settings\n", WIRED)
    (tmp_path / "perceptron.py").write_text(code)
    monkeypatch.setattr(decoders, "__path__", [*decoders.__path__, str(tmp_path)])
    config = merge(config_with(None), with_perceptron(entry))
    check_configuration(config)
    del config["datasets"]["demo-nsd"]["graph"]
    if not wired:
        check_configuration(config)
        return
    with pytest.raises(InputError, match=r"demo-nsd\.graph: .* image decoder 'perceptron'"):
        check_configuration(config)


def walk_through() -> tuple[str, str]:
    """The file and the entry of docs/decoders.md's new decoder."""
    page = (ROOT / "docs/decoders.md").read_text()
    code, entry = (page.split(f"```{name}\n")[1].split("```")[0] for name in ("python", "yaml"))
    return code, entry


def with_perceptron(entry: str) -> dict:
    return {
        "decoders": {"image": yaml.safe_load(entry)},
        "run": {"datasets": ["demo-nsd"], "decoders": {"image": ["perceptron"], "text": []}},
        "selection": {"candidates": {"image": ["perceptron"], "text": ["cnn"]}},
    }


@pytest.mark.parametrize("file", ["as it stands", "with the graph", "none"])
def test_a_new_decoder_is_one_file_and_one_entry(snakemake, tmp_path, file):
    """The walk-through of docs/decoders.md gets its jobs; without its file it is refused."""
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("afterimage", "resources", "rules", "schemas", "workflow_scripts"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    code, entry = walk_through()
    if file == "with the graph":
        code = code.replace("    settings_type = Settings\n", WIRED)
    if file != "none":
        (tmp_path / "afterimage/decoders/perceptron.py").write_text(code)
    (tmp_path / "overlay.yaml").write_text(yaml.safe_dump(with_perceptron(entry)))
    command = [snakemake, "--cores", "1", "-n", "--configfile", "overlay.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    said = done.stdout + done.stderr
    assert (done.returncode == 0) == (file != "none"), said[-2000:]
    if file != "none":
        folder = "results/demo-nsd/subj01"
        assert f"{folder}/decoders/image-perceptron/model.safetensors" in said
        assert job_counts(said).get("build_graph", 0) == 1
        (training,) = re.findall(
            rf"input: (.*)\n +output: {folder}/decoders/image-perceptron", said
        )
        assert (f"{folder}/graph.zarr" in training) == (file == "with the graph")
    else:
        assert "'perceptron'" in said
        assert "Traceback" not in said


@pytest.mark.parametrize(("own", "seeds"), [({}, [5, 6, 7]), ({"seed": 40}, [40, 41, 42])])
def test_every_further_training_has_a_seed_of_its_own(own, seeds):
    """Also of a decoder whose entry says which seed it begins with."""
    section = (ROOT / "rules/sections/decoders.smk").read_text()
    rules: dict = {
        "config": {"seed": 5},
        "methods": methods,
        "ordered": dict,
        "decoder_settings": lambda wildcards: {"kind": "cnn", **own},
    }
    exec(section, rules)
    names = methods.with_seeds("cnn", 3)
    found = [rules["training_settings"](SimpleNamespace(decoder=name)) for name in names]
    assert found == [{"kind": "cnn", "seed": seed} for seed in seeds]
