"""Killed again and again, each time gone on with: the same bytes in the end, nothing made twice.

AFTERIMAGE_KILLS says how often (`make fault-test KILLS=20`); five kills by default.
"""

import os
import random
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from tests import snakemake_log as log
from tests.workflow.killing import IN_STEPS, ROOT, Kept, Run, rules_to_hit, stages, steps_of

KILLS = int(os.environ.get("AFTERIMAGE_KILLS", "5"))
SEED = 0

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def undisturbed(snakemake, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    Run(snakemake, folder, "run.log").end()
    return folder


@dataclass
class Killed:
    """A run that was killed: the rules to hit, those that each kill hit, and what was found."""

    folder: Path
    planned: list[str]
    hit: list[set[str]]
    kept: Kept
    made_again: list[str]


@pytest.fixture(scope="module")
def killed(snakemake, tmp_path_factory, undisturbed) -> Killed:
    """Killed at seeded moments within jobs of all stages, until it is let come to its end."""
    folder = tmp_path_factory.mktemp("killed")
    chance = random.Random(SEED)
    begun = log.begun((undisturbed / "run.log").read_text())
    rules = sorted({job.rule for job in begun} - {"all"})
    planned = rules_to_hit(rules, KILLS, chance)
    seconds = {rule: shortest(undisturbed, rule) for rule in rules}
    kept, hit, made_again = Kept(folder), [], []
    for kill in range(KILLS):
        run = Run(snakemake, folder, f"run{kill}.log")
        left = [rule for rule in planned if not any(rule in those for those in hit)]
        jobs = run.kill_within(left or rules, seconds, chance)
        # A job that works in steps counts if it had finished one: others may run beside it.
        hit.append(
            {job.rule for job in jobs if job.rule not in IN_STEPS or steps_of(folder, job.rule)}
        )
        made_again += kept.made_again()
        kept.add(run.text)
        print(f"kill {kill + 1} of {KILLS}: {', '.join(sorted(hit[-1]))}", flush=True)
        if kill == 0:
            assert_locked(snakemake, folder)
        subprocess.run(unlock(snakemake), cwd=folder, check=True, capture_output=True)
    Run(snakemake, folder, "last.log").end()
    return Killed(folder, planned, hit, kept, made_again + kept.made_again())


def shortest(folder: Path, rule: str) -> float:
    """Seconds that the quickest job of a rule took."""
    files = (folder / "results/benchmarks" / rule).glob("*.tsv")
    return min(pd.read_csv(file, sep="\t").s.iloc[0] for file in files)


def unlock(snakemake: str) -> list[str]:
    """The README's answer to a lock that was left behind."""
    return [snakemake, "--snakefile", str(ROOT / "Snakefile"), "--unlock"]


def assert_locked(snakemake: str, folder: Path) -> None:
    run = Run(snakemake, folder, "locked.log")
    assert run.process.wait() != 0
    assert "--unlock" in run.text


def test_kills_hit_every_stage(killed):
    assert len(killed.hit) == KILLS
    rules = set().union(*killed.hit)
    assert set(killed.planned) <= rules
    assert len({stages()[rule] for rule in rules}) >= min(KILLS, len(set(stages().values())))


def test_nothing_that_was_finished_was_made_again(killed):
    assert len(killed.kept.outputs) > 100
    assert killed.made_again == []


def test_finished_batches_of_pictures_became_the_pictures(killed):
    results = killed.folder / "results"
    stats = [path.stat() for path in results.glob("*/*/reconstructions/*/*/*.png")]
    assert killed.kept.pictures
    assert killed.kept.pictures <= {(stat.st_ino, stat.st_mtime_ns) for stat in stats}


def test_finished_blocks_of_latents_were_used(killed):
    assert killed.kept.blocks
    for job, n_blocks in killed.kept.blocks.items():
        said = (killed.folder / f"results/logs/encode_images/{job}.log").read_text()
        assert int(re.search(r"(\d+) of \d+ blocks were finished before", said)[1]) >= n_blocks


def test_finished_epochs_were_not_trained_again(killed):
    """An epoch's seconds are by the clock: trained again, they would be others."""
    assert killed.kept.epochs
    histories = {
        "-".join([*file.parts[-5:-3], file.parts[-2]]): pd.read_csv(file)
        for file in (killed.folder / "results").glob("*/*/decoders/*/history.csv")
    }
    for job, epochs in killed.kept.epochs.items():
        before = pd.DataFrame(epochs)
        assert len(before) > 0
        found = histories[job].iloc[: len(before)]
        assert found.seconds.tolist() == pytest.approx(before.seconds.tolist(), rel=1e-12)


def results_of(folder: Path, *patterns: str) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for pattern in patterns
        for path in sorted((folder / "results").glob(pattern))
    }


@pytest.mark.parametrize(
    ("pattern", "at_least"),
    [
        ("tables/*.csv", 4),
        ("*/*/reconstructions/*/*/*.png", 36),
        ("*/*/selected.json", 2),
        ("*/*/decoders/*/model.safetensors", 6),
        ("*/*/scores/*.parquet", 20),
    ],
)
def test_results_are_byte_for_byte_those_of_an_undisturbed_run(
    undisturbed, killed, pattern, at_least
):
    expected = results_of(undisturbed, pattern)
    assert len(expected) >= at_least
    found = results_of(killed.folder, pattern)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []


def test_nothing_half_written_is_left(killed):
    left = (killed.folder / "results").rglob("*.partial")
    assert [path for path in left if path.name != ".partial"] == []
    assert [
        rule for rule in IN_STEPS if list((killed.folder / "results/.partial" / rule).iterdir())
    ] == []
