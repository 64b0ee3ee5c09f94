"""In CI a missing SLURM, browser or disk fails; elsewhere its tests say that they are skipped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.required import missing

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), (None, pytest.skip.Exception)]
)
def test_what_is_missing_fails_in_ci_alone(monkeypatch, ci, outcome):
    monkeypatch.setenv("CI", ci) if ci else monkeypatch.delenv("CI", raising=False)
    with pytest.raises(outcome, match="no browser"):
        missing("no browser")


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)])
def test_a_missing_browser_is_no_success_in_ci(ci, code):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "tests/browser/test_page.py"],
        env={**os.environ, "CI": ci, "AFTERIMAGE_CHROMIUM": "/no/browser"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout[-2000:]
    assert ("no browser at /no/browser" in done.stdout) == bool(ci)


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)])
def test_a_missing_slurm_is_no_success_in_ci(ci, code, tmp_path):
    """A SLURM that answers stands in for one that belongs to somebody else."""
    (tmp_path / "sinfo").write_text("#!/bin/sh\n")
    (tmp_path / "sinfo").chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "tests/slurm/test_slurm.py", "-k", "gpu_rules"],
        env={**os.environ, "CI": ci, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout[-2000:]
    assert ("no SLURM: " in done.stdout) == bool(ci)
