"""Print, for each subject, which stages are done, failed or still to do.

Reads files only: it takes no lock and answers while a run goes on. A stage is done when what it
makes is there, failed when a log of it ends in an error and its output is missing. Whether a done
stage would run again because something changed, only `snakemake -n` knows.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

SPLITS = ("train", "validation", "test")
TARGETS = ("image", "text")
ERRORS = ("ERROR ", "Traceback (most recent call last)", "slurmstepd: error")


@dataclass(frozen=True)
class Job:
    """One job that a config asks for: its rule, what it makes, and the log that it writes."""

    rule: str
    outputs: tuple[str, ...]
    log: str


@dataclass(frozen=True)
class Stage:
    """How far one rule has come for one subject."""

    rule: str
    done: int
    failed: tuple[tuple[str, str], ...]
    total: int
    begun: tuple[tuple[str, str], ...] = ()
    """(log, its last line) of jobs that are at work, or were ended without a word."""

    @property
    def word(self) -> str:
        """done, failed, started or to do."""
        if self.done == self.total:
            return "done"
        if self.failed:
            return "failed"
        return "started" if self.done or self.begun else "to do"


def jobs_of(config: Mapping[str, Any], dataset: str, subject: str) -> Iterator[Job]:
    """Every job of one subject, in the order in which stages follow each other."""
    from afterimage.datasets import parts
    from afterimage.methods import FROM_BEST, TRAINED, with_seeds

    settings, n_seeds = config["datasets"][dataset], config["run"].get("training_seeds", 1)
    plain, foreign = methods_of(config, dataset, subject)
    own = [name for m in plain for name in with_seeds(m, n_seeds if m in TRAINED else 1)]
    decoders = decoders_of(config)
    trains = bool(decoders)
    folder, name = f"{dataset}/{subject}", f"{dataset}-{subject}"

    def job(rule: str, log: str, *outputs: str) -> Job:
        paths = tuple(f"{folder}/{output}" for output in outputs)
        return Job(rule, paths, f"logs/{rule}/{log}.log")

    if "simulate" in settings:
        rule = f"simulate_{settings['format']}"
        yield Job(rule, (f"demo/{dataset}/raw",), f"logs/{rule}/{dataset}.log")
    yield job("index_trials", name, "trials.parquet")
    if trains or own:
        for part in parts(settings, subject):
            betas = [f"betas/{split}/{part}.zarr" for split in SPLITS]
            yield job("read_betas", f"{name}-{part}", *betas)
        # Without decoders nothing is validated; the test responses say which images there are.
        for split in SPLITS if trains else ("train", "test"):
            areas = [f"responses/{area}/{split}.zarr" for area in ("lower", "higher")]
            yield job("extract_responses", f"{name}-{split}", *areas)
        for rule, target in (("encode_images", "image"), ("encode_captions", "text")):
            yield job(rule, name, *[f"latents/{target}/{split}.zarr" for split in SPLITS])
    if trains:
        yield job("build_graph", name, "graph.zarr")
    for target, decoder in decoders:
        model = f"decoders/{target}-{decoder}/model.json"
        yield job("train_decoder", f"{name}-{target}-{decoder}", model)
    for target, decoder in decoders:
        outputs = [f"predictions/{target}-{decoder}.{split}.zarr" for split in SPLITS]
        yield job("predict_latents", f"{name}-{target}-{decoder}", *outputs)
    if set(own).intersection(FROM_BEST):
        yield job("select_decoder", name, "selected.json")
    for method in own:
        latents = [f"methods/{method}/{array}.zarr" for array in ("z", "c")]
        yield job("compose_method", f"{name}-{method}", *latents)
    shards = int(settings.get("shards", 1))
    for method in own:
        for index in range(1, shards + 1):
            shard = f"reconstructions/{method}/shard{index}of{shards}"
            yield job("reconstruct_images", f"{name}-{method}-{index}of{shards}", shard)
    for method in foreign:
        shard = f"reconstructions/{method}/shard1of1"
        yield job("import_pictures", f"{name}-{method}", shard)
    if trains:
        yield job("score_novelty", name, "scores/novelty.parquet")
    named = [(t, d) for t in TARGETS for d in config["run"]["decoders"][t]]
    scored = [(target, name) for target, d in named for name in with_seeds(d, n_seeds)]
    if scored:
        if "simulate" in settings:
            optimal = [f"optimal/{target}.test.zarr" for target in TARGETS]
            yield job("estimate_optimal", name, *optimal)
        for split in SPLITS:
            scores = [f"scores/latents-{t}-{d}.{split}.parquet" for t, d in scored]
            yield job("score_latents", f"{name}-{split}", *scores)
    for method in (*own, *foreign):
        yield job("score_images", f"{name}-{method}", f"scores/images-{method}.parquet")


def decoders_of(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(target, decoder) of every decoder that is scored, or that a method needs."""
    from afterimage.methods import FROM_BEST, with_seeds

    methods, n_seeds = set(config["run"]["methods"]), config["run"].get("training_seeds", 1)
    found = []
    for target in TARGETS:
        names = list(config["run"]["decoders"][target])
        names += ["linear"] if "linear" in methods else []
        if methods.intersection(FROM_BEST):
            names += config["selection"]["candidates"][target]
        plain = dict.fromkeys(names)
        found += [(target, name) for own in plain for name in with_seeds(own, n_seeds)]
    return found


def methods_of(
    config: Mapping[str, Any], dataset: str, subject: str
) -> tuple[list[str], list[str]]:
    """The run's own methods, and other systems' that made pictures of this subject."""
    external = config.get("external", {})
    methods = config["run"]["methods"]
    own = [name for name in methods if name not in external]
    foreign = [
        name for name in methods if name in external and subject in external[name].get(dataset, {})
    ]
    return own, foreign


def shared_jobs(config: Mapping[str, Any]) -> list[Job]:
    """The jobs that belong to no subject."""
    from afterimage.needs import makes_pictures

    names = ("latent_mse", "image_metrics", "latent_comparisons", "comparisons")
    tables = tuple(f"tables/{name}.csv" for name in names)
    jobs = [Job("check_data", ("data_check.txt",), "logs/check_data/all.log")]
    if makes_pictures(config):
        log = "logs/check_generator/all.log"
        jobs.append(Job("check_generator", ("generator.json",), log))
    jobs.append(Job("list_jobs", ("jobs.json",), "logs/list_jobs/all.log"))
    if decoders_of(config):
        jobs.append(Job("leak_proof", ("leak_proof.json",), "logs/leak_proof/all.log"))
    jobs.append(Job("tabulate", tables, "logs/tabulate/tables.log"))
    jobs.append(Job("write_provenance", ("provenance.json",), "logs/write_provenance/record.log"))
    jobs.append(Job("render_report", ("report/index.html",), "logs/render_report/page.log"))
    return jobs


def stages(jobs: Sequence[Job], results: Path) -> list[Stage]:
    """How far each rule has come, in the order of the jobs."""
    found = []
    for rule in dict.fromkeys(job.rule for job in jobs):
        mine = [job for job in jobs if job.rule == rule]
        missing = [job for job in mine if not all((results / o).exists() for o in job.outputs)]
        errors = [(job.log, error) for job in missing if (error := last_error(results / job.log))]
        logs = [job.log for job in missing if (results / job.log).exists()]
        failed = {log for log, _ in errors}
        begun = [(log, last_line(results / log)) for log in logs if log not in failed]
        done = len(mine) - len(missing)
        found.append(Stage(rule, done, tuple(errors), len(mine), tuple(begun)))
    return found


def last_error(log: Path) -> str:
    """The line of a log that says why its job failed, or ''."""
    try:
        size = log.stat().st_size
        with open(log, "rb") as stream:
            stream.seek(max(0, size - 20_000))
            lines = stream.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    if not any(line.startswith(ERRORS) or ERRORS[1] in line for line in lines):
        return ""
    said = [line for line in lines if line.startswith("ERROR ")]
    return (said or [line for line in lines if line.strip()])[-1].removeprefix("ERROR ").strip()


def last_line(log: Path) -> str:
    """The last line of a log that is not empty, or ''."""
    lines = log.read_text(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def show(title: str, found: Sequence[Stage]) -> str:
    """One subject's stages as text, with the reason of each failure below its stage."""
    lines = [title]
    for stage in found:
        lines.append(f"  {stage.word:<8}{stage.done:>4} of {stage.total:<4}  {stage.rule}")
        for log, error in stage.failed[:3]:
            lines.append(f"            {error}")
            lines.append(f"            see results/{log}")
        for log, line in stage.begun[:3]:
            lines.append(f"            begun, not finished: {line or 'nothing said yet'}")
            lines.append(f"            see results/{log}")
        if len(stage.failed) > 3:
            lines.append(f"            and {len(stage.failed) - 3} more")
    return "\n".join(lines)


def read_config(paths: Sequence[str]) -> dict[str, Any]:
    """Read the config and lay overlays over it, as Snakemake's --configfile does."""
    import yaml

    merged: dict[str, Any] = {}
    for path in paths:
        with open(path, encoding="utf-8") as stream:
            _overlay(merged, yaml.safe_load(stream) or {})
    return merged


def _overlay(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(below.get(key), dict):
            _overlay(below[key], value)
        else:
            below[key] = value


def main(config: Mapping[str, Any], results: str = "results") -> str:
    """The status of every subject of a config, as text."""
    blocks = []
    for dataset in config["run"]["datasets"]:
        for subject in config["datasets"][dataset]["subjects"]:
            jobs = list(jobs_of(config, dataset, str(subject)))
            blocks.append(show(f"{dataset}, {subject}", stages(jobs, Path(results))))
    blocks.append(show("all subjects together", stages(shared_jobs(config), Path(results))))
    locked = Path(results).resolve().parent / ".snakemake" / "locks"
    if locked.is_dir() and any(locked.iterdir()):
        blocks.append("A run holds the lock: stages that have not failed may be under way.")
    return "\n\n".join(blocks)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--configfile", nargs="*", default=[], help="overlays over config.yaml")
    parser.add_argument("--results", default="results", help="the folder of results")
    given = parser.parse_args()
    from afterimage.configuration import check_configuration
    from afterimage.errors import InputError

    try:
        config = read_config(["config.yaml", *given.configfile])
        check_configuration(config)
    except (InputError, OSError) as error:
        raise SystemExit(f"ERROR {error}") from None
    print(main(config, given.results))
