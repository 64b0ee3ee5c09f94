"""What runs again after a change is what docs/reruns.md says, neither more nor less."""

import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.dag.study import Study, added, arguments, make_study, setting, text, touch

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/reruns.md").read_text()
GCN = "decoders.image.gcn"
MINE = "datasets.scanned"

EDITS = {
    "a decoder's learning rate": setting(f"{GCN}.learning_rate", 0.002),
    "two of a decoder's values, swapped": setting(GCN, {"width": 32, "hidden": 16}),
    "a decoder's training batch size": setting(f"{GCN}.batch_size", 16),
    "the strength of the denoising": setting("reconstruction.strength", 0.5),
    "the number of samples per image": setting("reconstruction.n_samples", 2),
    "the number of shards": setting(f"{MINE}.shards", 2),
    "the graph's threshold": setting(f"{MINE}.graph.threshold", 0.4),
    "the number of bootstraps": setting("scoring.n_bootstrap", 100),
    "a subject more": setting(f"{MINE}.subjects", ["subj01", "subj02"]),
    "a decoder more": setting("run.decoders.text", ["linear", "cnn"]),
    "a training seed more": setting("run.training_seeds", 2),
    "a method more": setting("run.methods", ["linear", "best", "oracle"]),
    "a protocol more": setting("scoring.protocols", ["report", "brain-diffuser", "takagi"]),
    "the diffusion batch size": setting("execution.batch_size", 3),
    "device, precision, workers": setting(
        "execution", {"device": "cpu", "precision": "float32", "workers": 1}
    ),
    "threads": setting("execution.threads", 2),
    "memory and running time": arguments("--set-resources", "train_decoder:mem_mb=9000"),
    "a comment in a script": text(
        "workflow_scripts/extract_responses.py", "\n\n\ndef main(", "\n\n\n# Why not?\ndef main("
    ),
    "a docstring in the package": text(
        "afterimage/diffusion/noise.py", "A 32-bit seed", "A seed of 32 bits"
    ),
    "a comment in a file of rules": text(
        "rules/graphs.smk", "rule build_graph:", "# A node per region.\nrule build_graph:"
    ),
    "a comment in `config.yaml`": text("config.yaml", "seed: 0", "seed: 0  # zero"),
    "the order of settings in `config.yaml`": text(
        "config.yaml", "  n_samples: 2\n  steps: 50\n", "  steps: 50\n  n_samples: 2\n"
    ),
    "a raw file, touched": touch("data/nsddata/experiments/nsd/nsd_expdesign.mat"),
    "the generator's UNet, touched or replaced": touch(
        "resources/demo_diffusion/unet/diffusion_pytorch_model.safetensors"
    ),
    "the generator's noise schedule": added(
        "resources/demo_diffusion/scheduler/scheduler_config.json", ""
    ),
    "a script": added("workflow_scripts/select_decoder.py", "EDITED = 1"),
    "a function that a script imports (`graphs.py`)": added("afterimage/graphs.py", "EDITED = 1"),
    "a function two imports away (`metrics/pixel.py`)": added(
        "afterimage/metrics/pixel.py", "def edited(): return 1"
    ),
    "the code of one kind of decoder (`gcn.py`)": added("afterimage/decoders/gcn.py", "EDITED = 1"),
    "the page's style sheet": added("afterimage/report/static/page.css", "p { color: #333; }"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, snakemake) -> Study:
    study = make_study(tmp_path_factory.mktemp("reruns") / "study", snakemake)
    done = study.run()
    assert done.returncode == 0, done.stderr[-5000:]
    assert study.jobs_to_run() == []
    return study


def documented() -> dict[str, set]:
    """Change -> the rules, some with wildcards, that docs/reruns.md says are made again."""
    groups = {
        name: rules_in(line)
        for name, line in re.findall(r"^- \*\*(.+?)\*\*: (.+)$", TEXT, flags=re.MULTILINE)
    }
    table = {}
    for change, again in re.findall(r"^\| (.+?) \| (.+?) \|$", TEXT, flags=re.MULTILINE)[1:]:
        named = [groups[name] for name in re.findall(r"\*\*(.+?)\*\*", again)]
        table[change] = rules_in(again).union(*named)
    return table


def rules_in(line: str) -> set:
    return set(re.findall(r"`(\w+)(?:\((\w+)=([\w/]+)\))?`", line))


def ran(jobs: list[dict], like: set) -> set:
    """The rules of jobs, with a wildcard where `like` names one for the rule."""
    wildcard = {rule: name for rule, name, _ in like}
    return {
        (job["rule"], name, job["wildcards"].get(name, "") if name else "")
        for job in jobs
        for name in [wildcard.get(job["rule"], "")]
    }


def test_every_documented_change_is_tried():
    assert set(documented()) == set(EDITS)


@pytest.mark.parametrize("change", EDITS)
def test_what_runs_again_is_what_is_documented(finished, change):
    expected = documented()[change]
    with ExitStack() as stack:
        given = EDITS[change](finished, stack)
        jobs = finished.jobs_to_run(*given)
    assert ran(jobs, expected) == expected


@pytest.mark.parametrize(
    ("rule", "store", "minutes"),
    [
        ("train_decoder", "responses/lower/train.zarr", 60 + 120 * 1.5),
        ("reconstruct_images", "methods/best/z.zarr", 60 + 2 * 1500),
    ],
)
def test_a_job_with_more_input_is_given_more_time(finished, rule, store, minutes):
    """A gigabyte and a half more, of nothing; beside it the study's own megabytes do not count."""
    assert most_minutes(finished, rule) == 60
    more = finished.folder / "results/scanned/subj01" / store / "more"
    with open(more, "wb") as stream:
        stream.truncate(1_500_000_000)
    given = most_minutes(finished, rule)
    more.unlink()
    assert given == pytest.approx(minutes, abs=1)


def most_minutes(study: Study, rule: str) -> int:
    """The longest running time that one of a rule's jobs asks for."""
    done = study.run("--dry-run", "--forcerun", rule)
    jobs = re.findall(rf"^(?:local)?rule {rule}:\n((?:    .*\n)+)", done.stdout, re.MULTILINE)
    return max(int(re.search(r"\bruntime=(\d+)", job)[1]) for job in jobs)


def test_what_is_said_is_what_runs(finished):
    """The last test, as it leaves other results behind."""
    assert finished.jobs_to_run() == []
    with ExitStack() as stack:
        EDITS["the graph's threshold"](finished, stack)
        said = {job["rule"] for job in finished.jobs_to_run()}
        done = finished.run()
        assert done.returncode == 0, done.stderr[-5000:]
        begun = set(re.findall(r"^(?:local)?rule (\w+):$", done.stderr, re.MULTILINE))
        assert begun - {"all"} == said
        assert finished.jobs_to_run() == []
