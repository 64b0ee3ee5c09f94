"""A small study in a copy of the repository, that tests may edit and ask what would run again."""

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from afterimage.provenance import jobs_of_dry_run
from tests.dag.test_config import merge
from workflow_scripts.simulate_nsd import main as simulate_nsd

ROOT = Path(__file__).parents[2]
PROTOCOLS = ["report", "brain-diffuser"]
NEEDED = "afterimage config envs profiles report rules schemas workflow_scripts".split()


@dataclass
class Study:
    """A copy of the repository, and an overlay of its config."""

    folder: Path
    snakemake: str
    overlay: dict = field(default_factory=dict)

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        (self.folder / "overlay.yaml").write_text(yaml.safe_dump(self.overlay))
        command = [self.snakemake, "--cores", "2", *arguments, "--configfile", "overlay.yaml"]
        return subprocess.run(command, capture_output=True, text=True, cwd=self.folder)

    def jobs_to_run(self, *arguments: str) -> list[dict]:
        """The jobs that a run would have, each with its rule and wildcards."""
        done = self.run("--dry-run", *arguments)
        said = done.stdout + done.stderr
        assert done.returncode == 0, said[-3000:]
        jobs = [] if "Nothing to be done" in said else jobs_of_dry_run(said)
        return [job for job in jobs if job["rule"] != "all"]


def make_study(folder: Path, snakemake: str) -> Study:
    """A study on raw files of one's own: no rule made them. Two subjects lie there, one is used."""
    for name in NEEDED:
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, folder / name)
    shutil.copytree(ROOT / "resources/demo_diffusion", folder / "resources/demo_diffusion")
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, folder)
    files = ("config.yaml", "config/test.yaml", "tests/small.yaml")
    config: dict = {}
    for name in files:
        config = merge(config, yaml.safe_load((ROOT / name).read_text()))
    entry = config["datasets"]["demo-nsd"]
    design = {**entry.pop("simulate"), "subjects": ["subj01", "subj02"], "seed": 0}
    truth = [str(folder / f"truth/{subject}.npz") for subject in design["subjects"]]
    simulate_nsd(str(folder / "data"), truth, design)
    entry |= {"root": "data", "n_sessions": design["sessions"]}
    small = {name: config[name] for name in config if name != "datasets"}
    run = {**config["run"], "datasets": ["scanned"]}
    own = (ROOT / "afterimage/metrics/protocols/takagi.yaml").read_text()
    (folder / "mine.yaml").write_text(own)
    small["scoring"] = {**small["scoring"], "protocols": [*PROTOCOLS, "mine.yaml"]}
    rows = [f"{image},{image % 3}\n" for image in range(73_000)]
    (folder / "categories.csv").write_text("image_id,category\n" + "".join(rows))
    entry["categories"] = "categories.csv"
    return Study(folder, snakemake, {**small, "run": run, "datasets": {"scanned": entry}})


Edit = Callable[[Study, ExitStack], list[str]]
"""Changes a study until the stack is closed; returns arguments for Snakemake."""


def setting(where: str, value: object) -> Edit:
    """A value of the config; `where` is its keys with dots between."""

    def edit(study: Study, stack: ExitStack) -> list[str]:
        before = study.overlay
        stack.callback(lambda: setattr(study, "overlay", before))
        change: object = value
        for key in reversed(where.split(".")):
            change = {key: change}
        study.overlay = merge(before, change)
        assert study.overlay != before, where
        return []

    return edit


def text(name: str, old: str, new: str) -> Edit:
    """A piece of a file's text."""

    def edit(study: Study, stack: ExitStack) -> list[str]:
        stack.enter_context(kept(study.folder / name))
        before = (study.folder / name).read_text()
        assert before.count(old) == 1, f"{old!r} stands {before.count(old)} times in {name}"
        (study.folder / name).write_text(before.replace(old, new))
        return []

    return edit


def added(name: str, line: str) -> Edit:
    """A line more at the end of a file."""

    def edit(study: Study, stack: ExitStack) -> list[str]:
        stack.enter_context(kept(study.folder / name))
        with open(study.folder / name, "a") as stream:
            stream.write(f"\n{line}\n")
        return []

    return edit


def touch(name: str) -> Edit:
    """A file's time of modification."""

    def edit(study: Study, stack: ExitStack) -> list[str]:
        stack.enter_context(kept(study.folder / name))
        (study.folder / name).touch()
        return []

    return edit


def exchanged(name: str, change: Callable[[Path], None]) -> Edit:
    """The content of a file."""

    def edit(study: Study, stack: ExitStack) -> list[str]:
        stack.enter_context(kept(study.folder / name))
        change(study.folder / name)
        return []

    return edit


def once_looked(edit: Edit, answer: str) -> Edit:
    """An edit, and a run of the check that hides from a dry run what comes after it."""

    def edit_and_look(study: Study, stack: ExitStack) -> list[str]:
        stack.callback(_make, study, answer)
        given = edit(study, stack)
        _make(study, answer)
        return given

    return edit_and_look


def _make(study: Study, name: str) -> None:
    done = study.run(name)
    assert done.returncode == 0, done.stderr[-3000:]


def arguments(*given: str) -> Edit:
    """Snakemake's own arguments."""
    return lambda study, stack: list(given)


@contextmanager
def kept(path: Path):
    """Put a file back as it was, its time of modification too."""
    content, times = path.read_bytes(), path.stat()
    try:
        yield
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
