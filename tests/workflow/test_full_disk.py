"""A disk that is full, then read-only: a failure in words, and nothing finished is lost."""

import os
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from tests.required import missing

ROOT = Path(__file__).parents[2]
TARGET = "results/demo-nsd/subj01/responses/lower/test.zarr"

pytestmark = pytest.mark.faults


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own, which can be made larger or read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or mount(folder, "-t", "tmpfs", "-o", "size=3m", "none"):
        missing("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def mount(folder: Path, *arguments: str) -> int:
    return subprocess.run(["mount", *arguments, folder], capture_output=True).returncode


def run(snakemake: str, folder: Path) -> subprocess.CompletedProcess:
    command = [snakemake, "--snakefile", str(ROOT / "Snakefile"), "--cores", "2", TARGET]
    command += ["--configfile", str(ROOT / "config/test.yaml")]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


def files_of(folder: Path) -> dict[Path, tuple[str, int]]:
    """Finished files with their content and the time they were written."""
    return {
        path: (sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in (folder / "results").rglob("*")
        if path.is_file() and not {"logs", "benchmarks"} & set(path.parts)
    }


def test_a_full_disk_and_a_read_only_one_lose_nothing_that_was_finished(snakemake, disk):
    full = run(snakemake, disk)
    assert full.returncode != 0
    assert "No space left on device" in full.stdout + full.stderr
    raw = {path: was for path, was in files_of(disk).items() if "raw" in path.parts}
    assert raw
    assert not (disk / TARGET).exists()

    assert mount(disk, "-o", "remount,size=64m") == 0
    done = run(snakemake, disk)
    assert done.returncode == 0, done.stderr[-3000:]
    before = files_of(disk)
    assert raw.items() <= before.items()
    assert (disk / TARGET).is_dir()

    assert mount(disk, "-o", "remount,ro") == 0
    forced = subprocess.run(
        [snakemake, "--snakefile", str(ROOT / "Snakefile"), "--cores", "2", "--forceall", TARGET],
        capture_output=True,
        text=True,
        cwd=disk,
    )
    assert forced.returncode != 0
    assert "Read-only file system" in forced.stdout + forced.stderr
    assert files_of(disk) == before
