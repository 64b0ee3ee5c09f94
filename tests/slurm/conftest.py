"""A real SLURM for the tests in this folder, where one can be had."""

import subprocess
from pathlib import Path

import pytest

from tests.required import missing
from tests.slurm.study import workflow

SCRIPT = Path(__file__).with_name("cluster.sh")
CANNOT = 75


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Start slurmctld, slurmd, slurmdbd and munge on loopback; say so, with the reason, if not."""
    folder = tmp_path_factory.mktemp("cluster")
    done = subprocess.run([SCRIPT, "start", folder], capture_output=True, text=True)
    try:
        if done.returncode == CANNOT:
            missing(f"no SLURM: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr + _logs(folder)
        yield folder
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=False)


@pytest.fixture(scope="session")
def local(snakemake, tmp_path_factory) -> Path:
    """The same study, run without SLURM."""
    folder = tmp_path_factory.mktemp("local")
    command = workflow(snakemake, "--cores", "2")
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr[-5000:]
    return folder


def _logs(folder: Path) -> str:
    return "".join(f"{path}\n{path.read_text()[-2000:]}" for path in folder.glob("log/*.log"))
