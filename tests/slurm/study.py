"""The small study that goes through SLURM, and how its tables are compared."""

import re
import subprocess
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[2]
OVERLAYS = [str(ROOT / "config/test.yaml"), str(ROOT / "tests/small.yaml")]
TABLES = ["latent_mse", "image_metrics"]


def workflow(snakemake: str, *arguments: str) -> list[str]:
    """The command of a run of the study."""
    command = [snakemake, "--snakefile", str(ROOT / "Snakefile"), *arguments]
    return [*command, "--configfile", *OVERLAYS]


def through_slurm(
    snakemake: str, *arguments: str, profile: Path = ROOT / "profiles/slurm"
) -> list[str]:
    """The same through SLURM, which is asked more often than a cluster should be."""
    return workflow(
        snakemake,
        *["--workflow-profile", str(profile)],
        *["--slurm-init-seconds-before-status-checks", "1"],
        *["--seconds-between-status-checks", "1", "--latency-wait", "5", *arguments],
    )


def squeue(format: str, *arguments: str) -> list[str]:
    """One line for each of our jobs that SLURM knows and that has not ended."""
    command = ["squeue", "--me", "--noheader", f"--format={format}", *arguments]
    return subprocess.check_output(command, text=True).splitlines()


def accounting(said: str) -> pd.DataFrame:
    """What SLURM recorded of each job of a run, in the order of submission; `said` is its log."""
    name = re.search(r"SLURM run ID: (\S+)", said)
    assert name, said
    columns = "JobID,Comment,State,ReqMem,AllocTRES,ReqCPUS,TimelimitRaw"
    command = ["sacct", "--allocations", "--parsable2", f"--format={columns}", f"--name={name[1]}"]
    table = pd.read_csv(StringIO(subprocess.check_output(command, text=True)), sep="|")
    return table.assign(
        rule=table.Comment.str.extract(r"^rule_(.+?)_wildcards|^rule_(\w+)$").bfill(axis=1)[0]
    )


def assert_equal_tables(one_folder: Path, other_folder: Path, name: str) -> None:
    """Equal but for a thousandth of an interval's half-width."""
    one, other = (
        pd.read_csv(folder / f"results/tables/{name}.csv") for folder in (one_folder, other_folder)
    )
    texts = one.select_dtypes(exclude="number").columns
    pd.testing.assert_frame_equal(one[texts], other[texts])
    half_width = ((one.high - one.low) / 2).fillna(0)
    difference = (one.value - other.value).abs()
    assert one.value.notna().equals(other.value.notna())
    assert (difference.fillna(0) <= np.maximum(half_width, 1e-12) / 1000).all()
