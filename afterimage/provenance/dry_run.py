"""The workflow's jobs, from what `snakemake --dry-run --forceall` prints."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from afterimage.errors import InputError

_RULE = re.compile(r"(?:local)?(?:rule|checkpoint) (\w+):")
_FIELD = re.compile(r"    (input|output|wildcards): (.*)")


def jobs_of_dry_run(text: str) -> list[dict[str, Any]]:
    """Every job with its rule, wildcards, inputs and outputs, as the graph has them now.

    (`--detailed-summary` will not do: its inputs are those of past runs.)

    Parameters
    ----------
    text : output of `snakemake --dry-run --forceall`

    Returns
    -------
    list of {"rule", "wildcards", "inputs", "outputs"}, in a fixed order

    Raises
    ------
    InputError
        if the number of jobs is not the one that Snakemake states
    """
    jobs = list(_jobs(text.splitlines()))
    total = re.findall(r"^total\s+(\d+)$", text, flags=re.MULTILINE)
    if not total or int(total[0]) != len(jobs):
        raise InputError(
            "snakemake --dry-run", f"{total[0] if total else 'a number of'} jobs", str(len(jobs))
        )
    return sorted(jobs, key=lambda job: (job["rule"], job["outputs"], job["inputs"]))


def _jobs(text: Iterable[str]) -> Iterator[dict[str, Any]]:
    job: dict[str, Any] | None = None
    for line in text:
        if rule := _RULE.fullmatch(line):
            if job is not None:
                yield job
            job = {"rule": rule[1], "wildcards": {}, "inputs": [], "outputs": []}
        elif job is not None and (field := _FIELD.fullmatch(line)):
            # Snakemake adds how it treats a file: "a.txt (update)".
            values = [value.removesuffix(" (update)") for value in field[2].split(", ")]
            if field[1] == "wildcards":
                job["wildcards"] = dict(value.split("=", 1) for value in values)
            else:
                job[f"{field[1]}s"] = values
    if job is not None:
        yield job
