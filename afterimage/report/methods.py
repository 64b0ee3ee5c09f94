"""The methods section: settings, versions, times and memory, what to cite, size on disk."""

import csv
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from afterimage.report.inputs import Placed
from afterimage.report.tables import Cell, Column, Group, Row, Table
from afterimage.stores import read_json

CITATIONS = {
    "nsd": "NSD: Allen et al. (2022). A massive 7T fMRI dataset to bridge cognitive neuroscience "
    "and artificial intelligence. Nature Neuroscience 25, 116–126.",
    "things": "THINGS: Hebart et al. (2019). THINGS: A database of 1,854 object concepts and more "
    "than 26,000 naturalistic object images. PLOS ONE 14(10), e0223792.",
    "things-data": "THINGS-fMRI: Hebart et al. (2023). THINGS-data, a multimodal collection of "
    "large-scale datasets for investigating object representations in human brain and behavior. "
    "eLife 12, e82580.",
    "diffusion": "Stable Diffusion: Rombach et al. (2022). High-resolution image synthesis with "
    "latent diffusion models. CVPR.",
    "report": "The networks and the protocol 'report': Hou and Najafi Khoshnoo (2023). Image "
    "reconstruction from fMRI. Course report, CS292F, University of California, Santa Barbara.",
    "linear": "The linear baseline: Takagi and Nishimoto (2023). High-resolution image "
    "reconstruction with latent diffusion models from human brain activity. CVPR.",
    "coco": "COCO, of which NSD's pictures and captions are: Lin et al. (2014). Microsoft COCO: "
    "common objects in context. ECCV.",
    "lpips": "LPIPS: Zhang et al. (2018). The unreasonable effectiveness of deep features as a "
    "perceptual metric. CVPR.",
    "brain-diffuser": "The protocol 'brain-diffuser': Ozcelik and VanRullen (2023). Natural scene "
    "reconstruction from fMRI signals using generative latent diffusion. Scientific Reports 13, "
    "15666.",
    "mindeye": "The protocol 'mindeye': Scotti et al. (2023). Reconstructing the mind's eye: "
    "fMRI-to-image with contrastive learning and diffusion priors. NeurIPS.",
    "afterimage": "This software: the afterimage developers (2026). afterimage: reconstruct what "
    "was seen from fMRI, and prove it. Version 0.1.0.",
}

PACKAGES = (
    "afterimage",
    "torch",
    "diffusers",
    "transformers",
    "torch-geometric",
    "himalaya",
    "scikit-image",
    "lpips",
    "snakemake",
    "numpy",
)


def settings_groups(cfg: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Every setting that the page was given, without folders: section -> (dotted name, value)."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, value in _settings_lines(cfg):
        section, _, rest = name.partition(".")
        groups.setdefault(section if rest else "run", []).append((rest or section, value))
    return groups


def _settings_lines(cfg: Mapping[str, Any]) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []

    def walk(name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key in value:
                walk(f"{name}.{key}" if name else str(key), value[key])
        elif isinstance(value, list | tuple):
            lines.append((name, ", ".join(str(item) for item in value)))
        else:
            lines.append((name, "–" if value is None else str(value)))

    walk(
        "",
        {key: value for key, value in cfg.items() if key not in ("title", "datasets", "metrics")},
    )
    for dataset, entry in cfg["datasets"].items():
        kept = {k: v for k, v in entry["settings"].items() if k != "root"}
        walk(str(dataset), kept)
    return lines


def versions(provenance: str | None) -> list[tuple[str, str]]:
    """Versions of what computed the run: from its provenance, else of this environment."""
    if provenance:
        record = read_json(provenance)
        recorded = {"Python": record.get("python"), **record.get("versions", {})}
        return [(n, str(recorded[n])) for n in ("Python", *PACKAGES) if recorded.get(n)]
    found = [("Python", platform.python_version())]
    for name in PACKAGES:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            continue
    return found


def citations(cfg: Mapping[str, Any]) -> list[str]:
    """What to cite for the datasets and methods of this run; simulated ones ask for none."""
    keys = ["afterimage", "report", "diffusion", "linear"]
    for entry in cfg["datasets"].values():
        if not entry["simulated"] and entry["settings"].get("format") == "nsd":
            keys += ["nsd", "coco"]
        if not entry["simulated"] and entry["settings"].get("format") == "things":
            keys += ["things", "things-data"]
    protocols = cfg.get("scoring", {}).get("protocols", [])
    keys += ["lpips"] if any(name.startswith("report") for name in protocols) else []
    keys += [name for name in protocols if name in ("brain-diffuser", "mindeye")]
    return [CITATIONS[key] for key in dict.fromkeys(keys)]


def times_table(
    shards: Sequence[Placed], models: Sequence[Placed], benchmarks: str | Path | None
) -> Table:
    """Seconds, memory and pace of what recorded them: training, generation, and every rule."""
    columns = [
        Column("Jobs"),
        Column("Seconds"),
        Column("Peak GPU memory"),
        Column("Peak memory"),
        Column("Device and precision", words=True),
    ]
    groups = []
    rows = _stage_rows(shards, models)
    if rows:
        groups.append(Group("Training and generation alone", rows))
    if benchmarks and Path(benchmarks).is_dir():
        rows = _rule_rows(Path(benchmarks))
        if rows:
            groups.append(Group("Rules, whole jobs with start-up", rows))
    caption = "Seconds are summed over jobs; memory is that of the job that took most."
    return Table("times", caption, "Stage", columns, groups)


def _stage_rows(shards: Sequence[Placed], models: Sequence[Placed]) -> list[Row]:
    stages: dict[str, list[dict[str, Any]]] = {}
    for file in models:
        model = read_json(file.path)
        name = f"train {model.get('target', '')} {model.get('kind', '')}".replace("  ", " ")
        stages.setdefault(name, []).append(model)
    for shard in shards:
        folder = shard.path.parent if shard.path.suffix else shard.path
        if (folder / "sidecar.json").exists():
            record = read_json(folder / "sidecar.json")
            stages.setdefault(f"generate {shard.rest[1]}", []).append(record)
    rows = []
    for name in sorted(stages, key=lambda name: (not name.startswith("train"), name)):
        jobs = stages[name]
        seconds = sum(float(job.get("seconds") or 0) for job in jobs)
        gpu = max(float(job.get("peak_gpu_bytes") or 0) for job in jobs)
        cells = [Cell(str(len(jobs))), Cell(f"{seconds:,.0f}"), Cell(_bytes(gpu)), Cell()]
        cells.append(Cell(" or ".join(dict.fromkeys(filter(None, map(_device, jobs))))))
        rows.append(Row(name, cells))
    return rows


def _device(job: Mapping[str, Any]) -> str:
    """What one job computed on, and how exactly: a decoder's record says half precision or not."""
    half = "half precision" if job.get("half_precision") else "float32"
    half = half if "half_precision" in job else ""
    return ", ".join(filter(None, [job.get("device"), job.get("precision") or half]))


def _rule_rows(folder: Path) -> list[Row]:
    rows = []
    for rule in sorted(path for path in folder.iterdir() if path.is_dir()):
        records = []
        for path in sorted(rule.rglob("*.tsv")):
            with open(path, newline="", encoding="utf-8") as stream:
                records += list(csv.DictReader(stream, delimiter="\t"))
        seconds = [_float(record.get("s")) for record in records]
        memory = [_float(record.get("max_rss")) for record in records]
        if seconds:
            peak = _bytes(max(memory, default=0.0) * 2**20)
            cells = [
                Cell(str(len(seconds))),
                Cell(f"{sum(seconds):,.0f}"),
                Cell(),
                Cell(peak),
                Cell(),
            ]
            rows.append(Row(rule.name, cells, "other"))
    return rows


def _float(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def _bytes(count: float) -> str:
    if not count:
        return ""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return ""


def size_on_disk(folder: Path, page: Path) -> str:
    """How many files lie beside the page, and how large they are together."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file() and path != page]
    return f"Beside this page lie {len(sizes):,} files of {_bytes(float(sum(sizes))) or '0 B'}."
