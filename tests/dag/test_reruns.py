"""What runs again after a change is what docs/reruns.md says, neither more nor less."""

import re
from contextlib import ExitStack
from pathlib import Path

import h5py
import pytest

from tests.dag.study import (
    Study,
    added,
    arguments,
    exchanged,
    kept,
    make_study,
    once_looked,
    setting,
    text,
    touch,
)

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/reruns.md").read_text()
GCN = "decoders.image.gcn"
MINE = "datasets.scanned"
GENERATOR = "results/generator.json"
RAW_FILES = "results/data_check.txt"


def invert_pictures(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        (name,) = file
        file[name][0] = 255 - file[name][0]


def end_captions(path: Path) -> None:
    path.write_text(path.read_text().replace('"caption": "', '"caption": "Look: '))


EDITS = {
    "a decoder's learning rate": setting(f"{GCN}.learning_rate", 0.002),
    "two of a decoder's values, swapped": setting(GCN, {"width": 32, "hidden": 16}),
    "a decoder's training batch size": setting(f"{GCN}.batch_size", 16),
    "the strength of the denoising, once `check_generator` has looked": once_looked(
        setting("reconstruction.strength", 0.5), GENERATOR
    ),
    "the number of samples per image": setting("reconstruction.n_samples", 2),
    "the number of shards": setting(f"{MINE}.shards", 2),
    "the graph's threshold": setting(f"{MINE}.graph.threshold", 0.4),
    "the number of bootstraps": setting("scoring.n_bootstrap", 100),
    "a subject more": setting(f"{MINE}.subjects", ["subj01", "subj02"]),
    "a decoder more": setting("run.decoders.text", ["linear", "cnn"]),
    "a training seed more": setting("run.training_seeds", 2),
    "a method more": setting("run.methods", ["linear", "best", "oracle"]),
    "a protocol more": setting(
        "scoring.protocols", ["report", "brain-diffuser", "mine.yaml", "takagi"]
    ),
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
    "the generator's UNet, touched or replaced, once `check_generator` has looked": once_looked(
        touch("resources/demo_diffusion/unet/diffusion_pytorch_model.safetensors"), GENERATOR
    ),
    "the generator's noise schedule, once `check_generator` has looked": once_looked(
        added("resources/demo_diffusion/scheduler/scheduler_config.json", ""), GENERATOR
    ),
    "a script": added("workflow_scripts/select_decoder.py", "EDITED = 1"),
    "a function that a script imports (`graphs.py`)": added("afterimage/graphs.py", "EDITED = 1"),
    "a function two imports away (`metrics/pixel.py`)": added(
        "afterimage/metrics/pixel.py", "def edited(): return 1"
    ),
    "the code of one kind of decoder (`gcn.py`)": added("afterimage/decoders/gcn.py", "EDITED = 1"),
    "whether a kind of decoder needs the graph": text(
        "afterimage/decoders/gcn.py", "needs_graph = True", "needs_graph = False"
    ),
    "a protocol of your own, edited": text(
        "mine.yaml", "  clip_hidden12: {<<: *clip, layer: hidden12}\n", ""
    ),
    "the file of categories": text("categories.csv", "\n5,2\n", "\n5,0\n"),
    "a picture, exchanged, once `check_data` has looked": once_looked(
        exchanged("data/nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5", invert_pictures), RAW_FILES
    ),
    "a caption, exchanged, once `check_data` has looked": once_looked(
        exchanged(
            "data/nsddata_stimuli/stimuli/nsd/annotations/captions_train2017.json", end_captions
        ),
        RAW_FILES,
    ),
    "the code that reads another format (`things_betas.py`)": added(
        "afterimage/datasets/things_betas.py", "EDITED = 1"
    ),
    "a protocol that is not used (`mindeye.yaml`)": added(
        "afterimage/metrics/protocols/mindeye.yaml", "# A comment."
    ),
    "what every script imports (`jobs.py`)": added("afterimage/jobs.py", "EDITED = 1"),
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


def meant(jobs: list[dict], rules: set) -> list[dict]:
    """Those of the jobs that rules stand for: all of a rule's, or with a wildcard its own."""
    return [
        job
        for job in jobs
        for rule, name, value in rules
        if job["rule"] == rule and (not name or job["wildcards"].get(name) == value)
    ]


def outputs(jobs: list[dict]) -> set[tuple]:
    return {(job["rule"], *job["outputs"]) for job in jobs}


def test_every_documented_change_is_tried():
    assert set(documented()) == set(EDITS)


@pytest.mark.parametrize("change", EDITS)
def test_what_runs_again_is_what_is_documented(finished, change):
    expected = documented()[change]
    with ExitStack() as stack:
        given = EDITS[change](finished, stack)
        jobs = finished.jobs_to_run(*given)
        every_job = finished.jobs_to_run("--forceall", *given) if expected else []
    assert {rule for rule, _, _ in expected} == {job["rule"] for job in jobs}
    assert outputs(jobs) == outputs(meant(every_job, expected))


def test_a_job_with_more_input_is_given_more_time(finished):
    """A gigabyte and a half more, of nothing; beside it the study's own megabytes do not count."""
    assert most_minutes(finished, "train_decoder") == 60
    more = finished.folder / "results/scanned/subj01/responses/lower/train.zarr/more"
    with open(more, "wb") as stream:
        stream.truncate(1_500_000_000)
    given = most_minutes(finished, "train_decoder")
    more.unlink()
    assert given == pytest.approx(60 + 120 * 1.5, abs=1)


@pytest.mark.parametrize(
    ("rule", "file", "old", "new", "minutes"),
    [
        (
            "reconstruct_images",
            "methods/best/z.zarr/z/zarr.json",
            r'"shape": *\[\s*\d+',
            '"shape": [20000',
            60 + 20_000 / 20,
        ),
        (
            "score_images",
            "reconstructions/best/shard1of1/manifest.csv",
            r"\Z",
            "\n" * 15_000,
            60 + 15_000 / 75,
        ),
    ],
)
def test_a_job_with_more_pictures_is_given_more_time(finished, rule, file, old, new, minutes):
    """Counted in files that hold no picture."""
    assert most_minutes(finished, rule) == 60
    path = finished.folder / "results/scanned/subj01" / file
    with kept(path):
        path.write_text(re.sub(old, new, path.read_text(), count=1))
        given = most_minutes(finished, rule)
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


def test_what_comes_after_a_check_is_made_in_the_same_run(finished):
    """A dry run hides it while the check is to run. It leaves other results behind, too."""
    with ExitStack() as stack:
        setting("reconstruction.strength", 0.4)(finished, stack)
        done = finished.run("results/scanned/subj01/reconstructions/best/shard1of1")
        assert done.returncode == 0, done.stderr[-5000:]
    begun = re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):$", done.stderr, re.MULTILINE)
    assert {"check_generator", "reconstruct_images"} <= set(begun)
