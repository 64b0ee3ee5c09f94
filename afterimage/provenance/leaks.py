"""The proof, from the workflow's own jobs and files, that nothing of the test set leaked.

What is proved, for every method: no job that trains or selects has anything of the test set among
its ancestors, and no job that generates pictures has more of it than the responses of the subject
that it decodes. `oracle` alone may see the true test latents, and is named as such.

Raw files and the table of trials hold every split. They are the declared mixed sources, and a
closed list says which rules may read them on the way to training, selection or generation: those
of which a test poisons the test content and expects the other splits' outputs unchanged, byte for
byte. Any other reader is a violation.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ORACLE = "oracle"

MIXED = re.compile(r"/raw(/|$)|(^|/)trials\.parquet$")
TEST_RESPONSES = re.compile(r"(^|/)betas/test(/|$)|(^|/)responses/[^/]+/test\.zarr(/|$)")
TEST_PREDICTIONS = re.compile(r"(^|/)predictions/.+\.test\.zarr(/|$)")
TEST_LATENTS = re.compile(r"(^|/)latents/[^/]+/test\.zarr(/|$)")
TEST_SET = re.compile(
    r"/test\.zarr(/|$)|\.test\.zarr(/|$)|\.test\.parquet$|(^|/)betas/test(/|$)"
    r"|(^|/)images-.*\.parquet$|(^|/)reconstructions(/|$)"
)
TRUTH = re.compile(r"(^|/)truth(/|$)")
"""What a simulated brain was made from: it knows the test set too."""

MIXED_READERS = (
    "check_data",
    "encode_captions",
    "encode_images",
    "extract_responses",
    "index_trials",
    "predict_latents",
    "read_betas",
)
"""Rules whose outputs for one split come from that split alone; each has a test that poisons it."""

TRAINED = re.compile(r"(^|/)decoders(/|$)|(^|/)graph\.zarr$")
SELECTED = re.compile(r"(^|/)selected\.json$")
ELSEWHERE = "import_pictures"
"""The rule whose pictures another system made: nothing can be proved of them."""

GENERATED = re.compile(r"(^|/)reconstructions(/|$)")
MADE_HERE = re.compile(
    r"^results/(.+/)?(betas/(train|validation|test)|responses/(lower|higher)|latents/(image|text)"
    r"|predictions|decoders|methods|scores|graph\.zarr|selected\.json)(/|$)"
)
"""Files that some job must have made from others: without it the proof would have a hole."""

RESULTS = re.compile(r"^results(/|$)")
"""Below here every file has a job that makes it."""

HOLE = "no job makes this file from others: the graph is not whole"
MIXED_READER = "holds every split, and of rule {} no test shows that it keeps them apart"


@dataclass(frozen=True)
class Job:
    """A node of the workflow's graph: its rule, wildcards, and the files it reads and writes."""

    rule: str
    wildcards: Mapping[str, str] = field(default_factory=dict)
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()

    def __str__(self) -> str:
        return f"{self.rule}({', '.join(f'{k}={v}' for k, v in sorted(self.wildcards.items()))})"


class _Graph:
    """Who made each file."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.maker = {_clean(path): job for job in jobs for path in job.outputs}

    def maker_of(self, path: str) -> Job | None:
        """The job that wrote a file, or the folder that the file is in."""
        while path:
            if path in self.maker:
                return self.maker[path]
            path = path.rpartition("/")[0]
        return None

    def ancestors(self, job: Job) -> dict[str, str]:
        """Every file that a job's outputs come from -> the file made from it ('' for its own)."""
        made_from: dict[str, str] = {}
        todo = [(_clean(path), "") for path in reversed(job.inputs)]
        while todo:
            path, child = todo.pop()
            if path in made_from:
                continue
            made_from[path] = child
            maker = self.maker_of(path)
            if maker is not None:
                todo.extend((_clean(parent), path) for parent in reversed(maker.inputs))
        return made_from

    def jobs_of(self, files: Iterable[str]) -> list[Job]:
        """The jobs that made the files, each once."""
        makers = {id(maker): maker for path in files if (maker := self.maker_of(path))}
        return list(makers.values())


def _clean(path: str) -> str:
    return str(path).removeprefix("./").rstrip("/")


def _makes(job: Job, kind: re.Pattern) -> bool:
    return any(kind.search(_clean(path)) for path in job.outputs)


def _trace(job: Job, path: str, made_from: Mapping[str, str]) -> list[str]:
    """The files that lead from an ancestor to a job's output."""
    way = [path]
    while made_from[way[-1]]:
        way.append(made_from[way[-1]])
    return [*way, _clean(job.outputs[0])]


def _violations(
    graph: _Graph, job: Job, made_from: Mapping[str, str], allowed: Sequence[re.Pattern]
) -> list[dict[str, Any]]:
    """What of a job's ancestors it may not have, with the way that each came.

    `allowed` kinds of test files may be there, if they are of the job's own subject.
    """
    own = "/".join(job.wildcards.get(name, "") for name in ("dataset", "subject"))
    found: list[dict[str, Any]] = []
    if not job.inputs:
        out = _clean(job.outputs[0])
        found.append({"job": str(job), "file": out, "reason": HOLE, "path": [out]})
    for path in made_from:
        reason = _reason(path, own, allowed) or _hole(graph, path)
        # Of a way that leads through several forbidden files, the first is the offence.
        if reason and not any(path in violation["path"] for violation in found):
            way = _trace(job, path, made_from)
            found.append({"job": str(job), "file": path, "reason": reason, "path": way})
    return found + _mixed_read(graph, job, made_from, found)


def _mixed_read(
    graph: _Graph, job: Job, made_from: Mapping[str, str], known: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Mixed files that reached the job through a rule which may not read them."""
    found: list[dict[str, Any]] = []
    for reader in [job, *graph.jobs_of(made_from)]:
        mixed = [path for path in map(_clean, reader.inputs) if _is_mixed(path)]
        if not mixed or reader.rule in MIXED_READERS:
            continue
        own = set(map(_clean, reader.outputs))
        # What came of the reader, from the file that it wrote on to the job's own output.
        start = next((path for path in made_from if _is_of(path, own)), None)
        way = [_clean(job.outputs[0])] if start is None else _trace(job, start, made_from)
        # Of a way that is a violation already, the offence is named.
        if any(start in violation["path"] for violation in known):
            continue
        reason = MIXED_READER.format(reader.rule)
        found += [
            {"job": str(job), "file": path, "reason": reason, "path": [path, *way]}
            for path in mixed
        ]
    return found


def _is_of(path: str, outputs: set[str]) -> bool:
    """Whether a file is one of the outputs, or in a folder that is."""
    return any(path == output or path.startswith(f"{output}/") for output in outputs)


def _hole(graph: _Graph, path: str) -> str:
    """Why a file that a job reads cannot be followed further, or an empty string."""
    maker = graph.maker_of(path)
    if maker is None:
        return HOLE if RESULTS.search(path) else ""
    return HOLE if MADE_HERE.search(path) and not maker.inputs else ""


def _reason(path: str, own: str, allowed: Sequence[re.Pattern]) -> str:
    if TRUTH.search(path) and not MIXED.search(path):
        return "the truth behind simulated data"
    if not TEST_SET.search(path):
        return ""
    if any(kind.search(path) for kind in allowed):
        return "" if f"/{own}/" in f"/{path}" else "test material of another subject"
    return "belongs to the test set"


def leak_proof(jobs: Sequence[Job]) -> dict[str, Any]:
    """Prove, or disprove, that test material stayed out of training, selection and generation.

    Parameters
    ----------
    jobs : all jobs of the workflow, finished ones included

    Returns
    -------
    dict for JSON: `holds`; `jobs` and `files` looked at; `training` with the numbers of
    training and selection jobs and their `violations`; `methods`, a list with, for each
    dataset, subject and method that this workflow generates: `holds`, `sees` in words, numbers
    of `generation_jobs`, and among their ancestors of `ancestor_jobs`, `ancestor_files`,
    `training_jobs`, `selection_jobs`, `test_files` by kind, `mixed_sources`, and `violations`,
    each with its job, file, reason and path of files; `elsewhere`, methods whose pictures other
    systems made, of which nothing is proved; `mixed_readers`, the rules that read mixed sources
    on the way to training, selection or generation, and how many jobs each has
    """
    graph = _Graph(jobs)
    learned = [job for job in jobs if _makes(job, TRAINED) or _makes(job, SELECTED)]
    leaks = {id(job): _violations(graph, job, graph.ancestors(job), ()) for job in learned}
    groups = _by_method(jobs)
    methods = [_prove_method(graph, key, group, leaks) for key, group in sorted(groups.items())]
    generated = [job for group in groups.values() for job in group]
    readers = _readers_before(graph, [*learned, *generated])
    leaked = [violation for found in leaks.values() for violation in found]
    return {
        "holds": not leaked and all(method["holds"] for method in methods),
        "jobs": len(jobs),
        "files": len({_clean(path) for job in jobs for path in (*job.inputs, *job.outputs)}),
        "training": {
            "training_jobs": sum(_makes(job, TRAINED) for job in learned),
            "selection_jobs": sum(_makes(job, SELECTED) for job in learned),
            "violations": leaked,
        },
        "methods": methods,
        "elsewhere": sorted({job.wildcards["method"] for job in jobs if job.rule == ELSEWHERE}),
        "mixed_readers": dict(sorted(readers.items())),
    }


def _readers_before(graph: _Graph, jobs: Sequence[Job]) -> Counter[str]:
    """Rule -> how many jobs of it read mixed files among these jobs and their ancestors."""
    files = {path for job in jobs for path in graph.ancestors(job)}
    before = {id(job): job for job in [*jobs, *graph.jobs_of(files)]}
    return Counter(
        job.rule for job in before.values() if any(_is_mixed(_clean(path)) for path in job.inputs)
    )


def _is_mixed(path: str) -> bool:
    return bool(MIXED.search(path))


def _by_method(jobs: Sequence[Job]) -> dict[tuple[str, str, str], list[Job]]:
    groups: dict[tuple[str, str, str], list[Job]] = {}
    for job in jobs:
        if _makes(job, GENERATED) and job.rule != ELSEWHERE:
            key = tuple(job.wildcards.get(name, "") for name in ("dataset", "subject", "method"))
            groups.setdefault(key, []).append(job)  # type: ignore[arg-type]
    return groups


def _prove_method(
    graph: _Graph,
    key: tuple[str, str, str],
    generation: Sequence[Job],
    leaks: Mapping[int, list[dict[str, Any]]],
) -> dict[str, Any]:
    dataset, subject, method = key
    allowed = [TEST_RESPONSES, TEST_PREDICTIONS]
    if method == ORACLE:
        allowed.append(TEST_LATENTS)
    violations, files = [], {}
    for job in generation:
        made_from = graph.ancestors(job)
        files.update(made_from)
        violations += _violations(graph, job, made_from, allowed)
    ancestors = graph.jobs_of(files)
    for job in ancestors:
        violations += leaks.get(id(job), [])
    kinds = {
        "responses": TEST_RESPONSES,
        "predictions": TEST_PREDICTIONS,
        "latents": TEST_LATENTS,
        "all": TEST_SET,
    }
    seen = {name: sum(bool(kind.search(path)) for path in files) for name, kind in kinds.items()}
    return {
        "dataset": dataset,
        "subject": subject,
        "method": method,
        "holds": not violations,
        "sees": _sees(method, seen),
        "generation_jobs": len(generation),
        "ancestor_jobs": len(ancestors),
        "ancestor_files": len(files),
        "training_jobs": sum(_makes(job, TRAINED) for job in ancestors),
        "selection_jobs": sum(_makes(job, SELECTED) for job in ancestors),
        "test_files": seen,
        "mixed_sources": sum(_is_mixed(path) for path in files),
        "violations": violations,
    }


def _sees(method: str, seen: Mapping[str, int]) -> str:
    if method == ORACLE:
        return "the true test latents, by design"
    if not seen["all"]:
        return "nothing of the test set"
    return "of the test set, the responses that it decodes"


def lines(proof: Mapping[str, Any]) -> list[str]:
    """A line for every method, and one for every violation, the shortest way first."""
    said = []
    for entry in proof["methods"]:
        said.append(
            f"{entry['dataset']} {entry['subject']} {entry['method']}: "
            f"{'holds' if entry['holds'] else 'LEAKS'} ({entry['sees']}; "
            f"{entry['generation_jobs']} generation, {entry['training_jobs']} training and "
            f"{entry['selection_jobs']} selection jobs, {entry['ancestor_files']} ancestor files)"
        )
    said += [f"{name}: made elsewhere, nothing is proved of it" for name in proof["elsewhere"]]
    every = [*proof["training"]["violations"]]
    every += [violation for entry in proof["methods"] for violation in entry["violations"]]
    once = {(leak["job"], leak["file"]): leak for leak in every}
    said += [
        f"leak into {leak['job']}: {' -> '.join(leak['path'])} ({leak['reason']})"
        for leak in sorted(once.values(), key=lambda leak: len(leak["path"]))
    ]
    return said
