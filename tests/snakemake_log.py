"""What Snakemake's own log says of its jobs: begun, running, finished, and the files they make."""

import re
from dataclasses import dataclass
from pathlib import Path

BEGUN = re.compile(r"^(?:local)?(?:rule|checkpoint) (\w+):\n((?:    .*\n)+)", re.MULTILINE)
FINISHED = re.compile(r"^Finished jobid: (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Job:
    """One job of a run: its rule, its files, and what it asks for."""

    rule: str
    number: str
    outputs: tuple[str, ...]
    gpus: int


def begun(text: str) -> list[Job]:
    """Jobs in the order in which they were begun; one that was tried again is there again."""
    return [_job(rule, lines) for rule, lines in BEGUN.findall(text)]


def finished(text: str) -> list[Job]:
    """Jobs that Snakemake has said to be finished."""
    by_number = {job.number: job for job in begun(text)}
    return [by_number[number] for number in FINISHED.findall(text) if number in by_number]


def running(text: str) -> list[Job]:
    """Jobs that have begun and not finished."""
    done = set(finished(text))
    return [job for job in dict.fromkeys(begun(text)) if job not in done]


def at_once(text: str) -> list[list[Job]]:
    """The jobs that ran side by side, after each beginning of one."""
    ends = [match.end() for match in BEGUN.finditer(text)]
    return [running(text[:end]) for end in ends]


def unfinished(text: str, rule: str) -> int:
    """How many of a rule's jobs are not finished, by the counts with which a run begins."""
    counted = re.search(rf"^{rule} +(\d+)$", text, re.MULTILINE)
    done = [job for job in finished(text) if job.rule == rule]
    return int(counted[1]) - len(done) if counted else 0


def _job(rule: str, lines: str) -> Job:
    facts = dict(re.findall(r"^    (\w+): (.*)$", lines, re.MULTILINE))
    outputs = facts.get("output", "").removesuffix(" (update)")
    gpu = re.search(r"\bgpu=(\d+)", facts.get("resources", ""))
    return Job(
        rule,
        facts["jobid"],
        tuple(outputs.split(", ")) if outputs else (),
        int(gpu[1]) if gpu else 0,
    )


def written(folder: Path, outputs: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """File -> inode and time of writing, of all files of some outputs: made again, they differ."""
    found = {}
    for output in outputs:
        path = folder / output
        for file in [path, *sorted(path.rglob("*"))]:
            if file.is_file():
                stat = file.stat()
                found[str(file.relative_to(folder))] = stat.st_ino, stat.st_mtime_ns
    return found
