"""Runs that can be killed: where to hit them, and what they had finished by then."""

import os
import random
import re
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from afterimage.stores import read_json
from tests import snakemake_log as log

ROOT = Path(__file__).parents[2]
CONFIGS = ["config/test.yaml", "tests/workflow/interrupted.yaml"]
# Jobs that keep what they have done: batches of pictures, epochs, blocks of latents.
IN_STEPS = ["reconstruct_images", "train_decoder", "encode_images"]


class Run:
    """One call of Snakemake, in a process group of its own so that all of it can be killed."""

    def __init__(self, snakemake: str, folder: Path, name: str) -> None:
        self.folder, self.log = folder, folder / name
        command = [snakemake, "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
        command += ["--configfile", *(str(ROOT / config) for config in CONFIGS)]
        with open(self.log, "w") as stream:
            self.process = subprocess.Popen(
                command, stdout=stream, stderr=stream, cwd=folder, start_new_session=True
            )

    @property
    def text(self) -> str:
        return self.log.read_text()

    def end(self) -> None:
        """Let it come to its end, which must be a good one."""
        assert self.process.wait() == 0, self.text[-5000:]

    def kill(self) -> None:
        """SIGKILL to Snakemake and to every process that it started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        while _is_alive(self.process.pid):
            time.sleep(0.05)

    def kill_within(
        self, rules: list[str], seconds: dict[str, float], chance: random.Random
    ) -> list[log.Job]:
        """Kill it at a random moment of a job of one of these rules; give the jobs that were hit.

        A job that works in steps is hit when it has finished one, any other within the seconds that
        such a job takes; the last of its rule early, so that it does not end before.
        """
        due: dict[log.Job, float] = {}
        while self.process.poll() is None:
            for job in log.running(self.text):
                if job.rule not in rules:
                    continue
                last = log.unfinished(self.text, job.rule) == 1
                moment = chance.random() * (0.4 if last else 0.8 * seconds[job.rule])
                due.setdefault(job, time.monotonic() + moment)
                ready = (
                    bool(steps_of(self.folder, job.rule))
                    if job.rule in IN_STEPS
                    else time.monotonic() >= due[job]
                )
                hit = log.running(self.text)
                if ready and job in hit:
                    self.kill()
                    return hit
            time.sleep(0.01)
        raise AssertionError(f"no job of {rules} was met\n{self.text[-5000:]}")


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def stages() -> dict[str, str]:
    """Rule -> the stage that it belongs to: the name of its file."""
    return {
        rule: file.stem
        for file in sorted((ROOT / "rules").glob("*.smk"))
        for rule in re.findall(r"^ *(?:rule|checkpoint) (\w+):", file.read_text(), re.MULTILINE)
    }


def rules_to_hit(rules: list[str], kills: int, chance: random.Random) -> list[str]:
    """As many rules as kills: those that work in steps, one of each other stage, then others."""
    mixed = chance.sample(rules, len(rules))
    of_stage = {stages()[rule]: rule for rule in [*mixed, *IN_STEPS]}
    others = [rule for stage, rule in sorted(of_stage.items()) if rule not in IN_STEPS]
    first = [*IN_STEPS, *chance.sample(others, len(others))]
    return [*first, *(rule for rule in mixed if rule not in first)][:kills]


def steps_of(folder: Path, rule: str) -> list[Path]:
    """Finished steps of unfinished jobs: portions of pictures and latents, states of training."""
    state = folder / "results/.partial" / rule
    return [*state.glob("*/portion*"), *state.glob("*/*/state.json")]


@dataclass
class Kept:
    """What was finished at the kills: outputs of jobs, and steps of jobs that were hit."""

    folder: Path
    outputs: dict[str, tuple[int, int]] = field(default_factory=dict)
    pictures: set[tuple[int, int]] = field(default_factory=set)
    blocks: dict[str, int] = field(default_factory=dict)
    epochs: dict[str, list[dict]] = field(default_factory=dict)

    def add(self, text: str) -> None:
        """Note what a run that was killed leaves, `text` being its log."""
        for job in log.finished(text):
            self.outputs |= log.written(self.folder, job.outputs)
        for portion in steps_of(self.folder, "reconstruct_images"):
            found = log.written(self.folder, (str(portion.relative_to(self.folder)),))
            self.pictures |= {facts for name, facts in found.items() if name.endswith(".png")}
        for portion in steps_of(self.folder, "encode_images"):
            job = portion.parent
            self.blocks[job.name] = len(list(job.glob("portion*")))
        for state in steps_of(self.folder, "train_decoder"):
            self.epochs[state.parents[1].name] = read_json(state)["history"]

    def made_again(self) -> list[str]:
        """Finished outputs that are no longer those that were there."""
        now = log.written(self.folder, tuple(self.outputs))
        return [name for name in self.outputs if now.get(name) != self.outputs[name]]
