"""What every test may use: the real files, where a folder of them is named."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real metadata, pictures and fMRI that AFTERIMAGE_REAL_DATA names."""
    folder = os.environ.get("AFTERIMAGE_REAL_DATA")
    if not folder:
        pytest.skip("AFTERIMAGE_REAL_DATA does not name a folder of real files")
    return Path(folder)


@pytest.fixture(scope="session")
def snakemake() -> str:
    """The snakemake command of this environment."""
    import sys

    command = Path(sys.executable).with_name("snakemake")
    found = str(command) if command.exists() else shutil.which("snakemake")
    assert found, "snakemake is not installed in this environment"
    return found
