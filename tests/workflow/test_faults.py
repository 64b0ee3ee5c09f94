"""Killed again and again, each time gone on with: the same bytes in the end.

AFTERIMAGE_KILLS says how often (`make fault-test KILLS=20`); five kills by default.
"""

import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("AFTERIMAGE_KILLS", "5"))
SEED = 0

pytestmark = pytest.mark.faults


class Run:
    """One call of Snakemake, in a process group of its own so that all of it can be killed."""

    def __init__(self, snakemake: str, folder: Path, log: Path) -> None:
        self.log = log
        command = [snakemake, "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
        command += ["--configfile", str(ROOT / "config/test.yaml")]
        with open(log, "w") as stream:
            self.process = subprocess.Popen(
                command, stdout=stream, stderr=stream, cwd=folder, start_new_session=True
            )

    def jobs_left(self) -> int | None:
        """The number of unfinished jobs, or None before Snakemake has counted them."""
        text = self.log.read_text()
        total = re.search(r"^total +(\d+)$", text, re.MULTILINE)
        return (
            int(total[1]) - len(re.findall(r"^Finished jobid", text, re.MULTILINE))
            if total
            else None
        )

    def running(self) -> set[str]:
        """The rules whose jobs have begun and not finished."""
        begun: dict[str, str] = {}
        text = self.log.read_text()
        for rule, job in re.findall(
            r"^(?:local)?rule (\w+):\n(?:    .*\n)*?    jobid: (\d+)$", text, re.MULTILINE
        ):
            begun[job] = rule
        for job in re.findall(r"^Finished jobid: (\d+)", text, re.MULTILINE):
            begun.pop(job, None)
        return set(begun.values())

    def kill(self) -> None:
        """SIGKILL to Snakemake and to every process that it started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        while _is_alive(self.process.pid):
            time.sleep(0.05)


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def undisturbed(snakemake, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    run = Run(snakemake, folder, folder / "run.log")
    assert run.process.wait() == 0, run.log.read_text()[-5000:]
    return folder


@pytest.fixture(scope="module")
def killed(snakemake, tmp_path_factory, undisturbed) -> tuple[Path, list[set[str]]]:
    """A run killed at seeded moments all along its way, and the rules that each kill hit."""
    folder = tmp_path_factory.mktemp("killed")
    n_jobs = len(re.findall(r"^Finished jobid", (undisturbed / "run.log").read_text(), re.M))
    chance = random.Random(SEED)
    hit = []
    for kill in range(KILLS):
        moment = int(0.97 * n_jobs * (kill + chance.random()) / KILLS)
        run = Run(snakemake, folder, folder / f"run{kill}.log")
        wait_until(run, n_jobs - moment)
        time.sleep(chance.uniform(0, 3))
        assert run.process.poll() is None, run.log.read_text()[-5000:]
        hit.append(run.running())
        run.kill()
        if kill == 0:
            assert_locked(snakemake, folder)
        subprocess.run([*unlock(snakemake)], cwd=folder, check=True, capture_output=True)
    last = Run(snakemake, folder, folder / "last.log")
    assert last.process.wait() == 0, last.log.read_text()[-5000:]
    return folder, hit


def wait_until(run: Run, at_most: int) -> None:
    """Until no more than so many jobs are left."""
    while (left := run.jobs_left()) is None or left > at_most:
        assert run.process.poll() is None, run.log.read_text()[-5000:]
        time.sleep(0.05)


def unlock(snakemake: str) -> list[str]:
    """The README's answer to a lock that was left behind."""
    return [snakemake, "--snakefile", str(ROOT / "Snakefile"), "--unlock"]


def assert_locked(snakemake: str, folder: Path) -> None:
    run = Run(snakemake, folder, folder / "locked.log")
    assert run.process.wait() != 0
    assert "--unlock" in run.log.read_text()


def test_kills_hit_jobs_of_many_stages(killed):
    _, hit = killed
    assert len(hit) == KILLS
    assert len(set().union(*hit)) >= KILLS // 2, hit


def results_of(folder: Path, *patterns: str) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for pattern in patterns
        for path in sorted((folder / "results").glob(pattern))
    }


def test_tables_and_pictures_are_byte_for_byte_those_of_an_undisturbed_run(undisturbed, killed):
    patterns = ("tables/*.csv", "*/*/reconstructions/*/*/*.png", "*/*/selected.json")
    expected = results_of(undisturbed, *patterns)
    assert len(expected) > 40
    found = results_of(killed[0], *patterns)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []


def test_nothing_half_written_is_left(killed):
    left = (killed[0] / "results").rglob("*.partial")
    assert [path for path in left if path.name != ".partial"] == []
