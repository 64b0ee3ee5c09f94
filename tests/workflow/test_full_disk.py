"""A disk that is full, then read-only: a failure in words, and nothing finished is lost."""

import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from tests.required import missing

ROOT = Path(__file__).parents[2]
RAW = ("results/demo/demo-nsd/raw", "results/demo/demo-things/raw")
TARGET = "results/demo-nsd/subj01/responses/lower/test.zarr"
# What is left of the full disk: room for Snakemake's records and logs, not for a session's betas.
LEFT = 128 * 1024

pytestmark = pytest.mark.faults


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own, which can be filled or made read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or mount(folder, "-t", "tmpfs", "-o", "size=64m", "none"):
        missing("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def mount(folder: Path, *arguments: str) -> int:
    return subprocess.run(["mount", *arguments, folder], capture_output=True).returncode


def run(snakemake: str, folder: Path, *targets: str) -> subprocess.CompletedProcess:
    command = [snakemake, "--snakefile", str(ROOT / "Snakefile"), "--cores", "2", *targets]
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
    made = run(snakemake, disk, *RAW)
    assert made.returncode == 0, made.stderr[-3000:]
    raw = files_of(disk)
    assert raw
    filler = disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(disk).free - LEFT))
    full = run(snakemake, disk, TARGET)
    assert full.returncode != 0
    assert "Error in rule read_betas" in full.stderr
    assert "No space left on device" in full.stderr
    assert not (disk / TARGET).exists()
    assert raw.items() <= files_of(disk).items()

    filler.unlink()
    done = run(snakemake, disk, TARGET)
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
