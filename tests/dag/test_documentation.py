"""What the pages show is so: commands run (dry), links lead somewhere, settings exist."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.dag.documents import (
    OTHERS,
    PAGES,
    ROOT,
    Shown,
    broken,
    commands,
    is_setting,
    links,
    settings,
)

SCHEMA = yaml.safe_load((ROOT / "schemas/config.schema.yaml").read_text())
COMMANDS = {shown.text: shown for page in PAGES for shown in commands(page)}
WITHOUT_CORES = ("-n", "--dry-run", "--unlock", "--touch", "--report", "--workflow-profile")
"""With one of these options Snakemake does not ask for --cores."""


def problem_of(command: str, snakemake: str, folder: Path) -> str:
    """Why a command would not do what a page says, or ''; nothing is computed."""
    words = shlex.split(command)
    tries = {"snakemake": _snakemake, "make": _make, "python": _python}
    if words[0] in tries:
        return tries[words[0]](words[1:], snakemake, folder)
    return "" if words[0] in OTHERS else f"{words[0]}: no command of this project"


def _snakemake(words: list[str], snakemake: str, folder: Path) -> str:
    """A dry run in an empty folder; files of the repository are named by their full paths."""
    if "--cores" not in words and not set(words).intersection(WITHOUT_CORES):
        return "without --cores Snakemake runs nothing"
    # The report of a finished run cannot be had dry: its jobs can.
    if "--report" in words:
        del words[words.index("--report") : words.index("--report") + 2]
    words = [str(ROOT / word) if "/" in word and (ROOT / word).exists() else word for word in words]
    command = [snakemake, "--snakefile", str(ROOT / "Snakefile"), *words]
    if "--unlock" not in words:
        command.append("-n")
    return _run(command, folder)


def _make(words: list[str], snakemake: str, folder: Path) -> str:
    return _run(["make", "-n", *words], ROOT)


def _python(words: list[str], snakemake: str, folder: Path) -> str:
    """The script is there; where it takes options, it knows those that are shown."""
    if words[0] == "-m":
        return _run([sys.executable, "-c", f"import {words[1]}"], folder)
    script = ROOT / words[0]
    if not script.exists():
        return f"no script {words[0]}"
    options = [word for word in words[1:] if word.startswith("--")]
    if "argparse" not in script.read_text():
        return f"{words[0]} takes no options" if words[1:] else ""
    said = subprocess.run(
        [sys.executable, str(script), "--help"], capture_output=True, text=True, cwd=ROOT
    )
    if said.returncode:
        return said.stderr[-500:]
    unknown = [name for name in options if not re.search(rf"{name}\b", said.stdout)]
    return f"{words[0]} has no {', '.join(unknown)}" if unknown else ""


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    return (done.stdout + done.stderr)[-1500:] if done.returncode else ""


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_do_what_pages_say(command, snakemake, tmp_path):
    problem = problem_of(command, snakemake, tmp_path)
    assert not problem, f"{COMMANDS[command]}\n{problem}"


def test_pages_show_commands_at_all():
    assert {"make demo", "make test"} <= set(COMMANDS)
    assert sum(command.startswith("snakemake") for command in COMMANDS) > 8


@pytest.mark.parametrize(
    "command",
    [
        "snakemake --cores 1 leak_prof",
        "snakemake leak_proof",
        "snakemake --cores 1 -n --configfile config/none.yaml",
        "make demos",
        "python benchmarks/none.py",
        "python benchmarks/sampling.py --fast",
        "afterimage run",
    ],
)
def test_a_wrong_command_is_found(command, snakemake, tmp_path):
    assert problem_of(command, snakemake, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    assert [problem for link in links(page) if (problem := broken(link, page.parent))] == []


def test_a_broken_link_is_found():
    docs = ROOT / "docs"
    assert broken(Shown("data.md", "metrics.md#latents"), docs) == ""
    assert broken(Shown("data.md", "#your-own-data"), docs) == ""
    assert "no such file" in broken(Shown("data.md", "metric.md"), docs)
    assert "no such heading" in broken(Shown("data.md", "metrics.md#none"), docs)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_that_pages_name_exist(page):
    wrong = [str(shown) for shown in settings(page, SCHEMA) if not is_setting(shown.text, SCHEMA)]
    assert wrong == []


def test_a_wrong_setting_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "Set `scoring.n_bootstrap`, `scoring.bootstraps`, `areas.lower.regions` and\n"
        "`areas.lower.labels`; `responses.h5` is a file.\n\n"
        "    datasets:\n      lab:\n        format: custom\n        folder: /data\n"
    )
    named = [shown.text for shown in settings(page, SCHEMA)]
    assert len(named) == 8
    wrong = [name for name in named if not is_setting(name, SCHEMA)]
    assert wrong == ["scoring.bootstraps", "areas.lower.labels", "datasets.lab.folder"]


def test_the_drawn_map_has_every_rule_and_no_other():
    text = (ROOT / "docs/architecture.md").read_text()
    drawn = set(re.findall(r"\w+", text.split("```mermaid")[1].split("```")[0]))
    rules = {
        name
        for file in (ROOT / "rules").glob("*.smk")
        for name in re.findall(r"^ *(?:rule|checkpoint) (\w+):", file.read_text(), re.M)
    }
    assert rules - {"all"} <= drawn
    assert {word for word in drawn if "_" in word} <= rules


def test_every_page_is_linked_from_the_readme():
    text = (ROOT / "README.md").read_text()
    for page in PAGES[1:]:
        assert f"docs/{page.name}" in text, page.name
