"""Look at every raw file that a config needs, before anything heavy begins.

Writes a table in words: file by file what is found or missing, its size, shape and type, and what
gets it. Ends with the first problem as its error.
"""

import sys
from collections.abc import Callable, Set
from pathlib import Path

from afterimage.datasets import FileCheck, open_dataset
from afterimage.needs import EVERYTHING
from afterimage.stores import whole


def main(
    datasets: dict[str, dict],
    out: str,
    seed: int = 0,
    show: Callable[[str], None] = print,
    needs: Set[str] = EVERYTHING,
) -> None:
    """Check all subjects of some datasets.

    Parameters
    ----------
    datasets : the config's entries by name; each with its `subjects`
    out : text file to write, if nothing stops the work
    show : what shows the table to a person, good or bad
    needs : what the run reads beside trials and pictures: betas, captions

    Raises
    ------
    InputError
        the first problem that would stop the work
    """
    sections, problems = [], []
    spared = ", ".join(sorted(EVERYTHING - needs))
    for name, settings in datasets.items():
        dataset = open_dataset(settings, seed)
        for subject in settings["subjects"]:
            checks = dataset.check(subject, needs)
            root = str(Path(settings["root"]).expanduser())
            sections.append(describe(f"{name} {subject}", root, checks, spared))
            problems += [check for check in checks if check.stops]
    text = "\n\n".join(sections)
    show(text)
    if problems:
        raise problems[0].error
    with whole(out) as temporary:
        temporary.write_text(text + "\n")


def describe(title: str, root: str, checks: list[FileCheck], spared: str = "") -> str:
    """A table of checks in words, paths below the dataset's root, and what needs none."""
    names = [_below(check.path, root) for check in checks]
    width = max(map(len, names), default=0)
    lines = [f"{title} in {root}"]
    for name, check in zip(names, checks, strict=True):
        status = check.status if check.needed or check.status != "missing" else "absent"
        lines.append(f"  {status:<8}{name:<{width}}  {check.found}".rstrip())
        if check.stops:
            lines.append(f"          expected: {check.expected}")
            if check.remedy:
                lines.append(f"          remedy:   {check.remedy}")
    if spared:
        lines.append(f"  not needed: {spared}")
    wrong = sum(check.stops for check in checks)
    lines.append(f"  {len(checks)} checks, {wrong} that stop the work" if wrong else "  all well")
    return "\n".join(lines)


def _below(path: str, root: str) -> str:
    return str(Path(path).relative_to(root)) if Path(path).is_relative_to(root) else path


if "snakemake" in globals():
    from afterimage.jobs import job_log

    def _show(text: str) -> None:
        """To the log, and to the terminal, which is what a person who asks is looking at."""
        print(text)
        print(text, file=sys.__stderr__)

    with job_log(snakemake.log[0], snakemake.threads):
        main(
            snakemake.params.cfg["datasets"],
            snakemake.output[0],
            snakemake.params.cfg["seed"],
            _show,
            frozenset(snakemake.params.cfg["needs"]),
        )
