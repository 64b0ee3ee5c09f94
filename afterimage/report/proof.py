"""The leak proof, as the page tells it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from afterimage.report.tables import Cell, Column, Group, Row, Table
from afterimage.report.words import method_group, method_name
from afterimage.stores import read_json


@dataclass
class Proof:
    """The verdict, what was walked, each violation, and a row for every method.

    `elsewhere` says, in a line or none, which methods' pictures other systems made.
    """

    holds: bool
    lines: list[str]
    violations: list[str]
    elsewhere: list[str] = field(default_factory=list)
    table: Table = field(default_factory=lambda: Table("leak-proof", "", "Method", []))


def read_proof(path: str | None, simulated: Mapping[str, bool]) -> Proof | None:
    """Read leak_proof.json; None if the proof was not run."""
    if not path:
        return None
    proof = read_json(path)
    training = proof["training"]
    lines = [
        f"Walked {proof['jobs']:,} jobs and {proof['files']:,} files: "
        f"{training['training_jobs']} training and {training['selection_jobs']} selection jobs, "
        f"{_count(training['violations'])} with a test response, picture, caption, latent or "
        "score among its ancestors.",
        "Raw files and the list of trials hold every split. On the way to training, selection and "
        f"generation only these rules read them ({_readers(proof['mixed_readers'])} jobs); for "
        "each, a test of afterimage poisons the test content and finds the other splits' outputs "
        "unchanged.",
    ]
    named = ", ".join(method_name(name) for name in proof.get("elsewhere", []))
    elsewhere = [f"Nothing is proved of what other systems made: {named}."] if named else []
    every = [*training["violations"]]
    every += [violation for method in proof["methods"] for violation in method["violations"]]
    said = dict.fromkeys(
        f"{leak['job']}: {' → '.join(leak['path'])} ({leak['reason']})" for leak in every
    )
    table = _table(proof["methods"], simulated)
    return Proof(bool(proof["holds"]), lines, list(said), elsewhere, table)


def _count(violations: Sequence[Any]) -> str:
    return str(len(violations)) if violations else "none"


def _readers(readers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(readers.items())) or "none"


def _table(methods: Sequence[Mapping[str, Any]], simulated: Mapping[str, bool]) -> Table:
    columns = [
        Column("Verdict", words=True),
        Column("What its generation sees of the test set", words=True),
        Column("Generation jobs"),
        Column("Training jobs before it"),
        Column("Files before it"),
    ]
    table = Table("leak-proof", "What each method's generation jobs can see.", "Method", columns)
    groups: dict[tuple[str, str], Group] = {}
    for entry in methods:
        key = (entry["dataset"], entry["subject"])
        name = ", ".join(key)
        group = groups.setdefault(key, Group(name, [], simulated.get(key[0], False), *key))
        cells = [
            Cell("holds" if entry["holds"] else "LEAKS"),
            Cell(str(entry["sees"]).removeprefix("of the test set, ")),
            Cell(f"{entry['generation_jobs']:,}"),
            Cell(f"{entry['training_jobs']:,}"),
            Cell(f"{entry['ancestor_files']:,}"),
        ]
        kind = method_group(entry["method"])
        group.rows.append(Row(method_name(entry["method"]), cells, kind))
    for group in groups.values():
        group.rows.sort(key=lambda row: ("decoded", "other", "control").index(row.kind))
    table.groups = list(groups.values())
    return table
