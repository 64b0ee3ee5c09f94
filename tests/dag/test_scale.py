"""The full study stays small enough to plan: its jobs are counted, and docs/scaling.md has them.

How long the counting takes depends on the machine: `python benchmarks/scale.py` says it.
"""

import re
from pathlib import Path

import pytest

from benchmarks.scale import MOST_JOBS, dry_run, full_study

TEXT = (Path(__file__).parents[2] / "docs/scaling.md").read_text()


@pytest.fixture(scope="module")
def counts() -> dict[str, int]:
    counted, _, _ = dry_run(full_study())
    return counted


def test_the_full_study_has_eight_and_three_subjects():
    subjects = {name: len(entry["subjects"]) for name, entry in full_study()["datasets"].items()}
    assert subjects == {"nsd": 8, "things": 3}


def test_the_full_study_has_less_than_three_thousand_jobs(counts):
    assert sum(n for rule, n in counts.items() if rule != "total") == counts["total"] < MOST_JOBS


def test_jobs_are_those_of_the_documentation(counts):
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (\d+)(?: each)? \|", TEXT, re.MULTILINE)
    documented = {rule: int(n) for rules, n in rows for rule in re.findall(r"`(\w+)`", rules)}
    assert len(documented) >= 8
    assert {rule: counts[rule] for rule in documented} == documented
    assert f"**{counts['total']:,}**" in TEXT
