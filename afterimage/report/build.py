"""From a run's files to the page: read, draw, write."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afterimage.report import answers, methods
from afterimage.report.brain import Brain, brain_figures, read_brains, read_weights
from afterimage.report.ceiling import what_would_perfect_show
from afterimage.report.comparisons import read_comparisons
from afterimage.report.directions import Directions
from afterimage.report.drawing import style
from afterimage.report.evidence import (
    curve_blocks,
    dot_blocks,
    forest_blocks,
    label,
    read_histories,
    saver,
)
from afterimage.report.failing import which_fail
from afterimage.report.gallery import Gallery, catalogue, write_gallery
from afterimage.report.glance import glance_chart
from afterimage.report.inputs import (
    Pictures,
    Placed,
    Subject,
    place_all,
    read_image_scores,
    read_optional,
    read_reconstructions,
)
from afterimage.report.novelty import novelty_blocks, read_novelty
from afterimage.report.page import Block, Chart, Page, render
from afterimage.report.proof import read_proof
from afterimage.report.retrieval import is_it_retrieval
from afterimage.report.studies import studies
from afterimage.report.tables import (
    Table,
    headline_columns,
    image_columns,
    image_table,
    latent_table,
    markdown,
)
from afterimage.stores import whole

if TYPE_CHECKING:
    import pandas as pd


UNITS = {"nsd": "mm", "things": "voxels"}
"""Unit of the voxels' coordinates, by the dataset's format."""


@dataclass
class Files:
    """The run's files that the page is made of; every list may be empty, every path None."""

    tables: dict[str, str] = field(default_factory=dict)
    reconstructions: list[str] = field(default_factory=list)
    image_scores: list[str] = field(default_factory=list)
    histories: list[str] = field(default_factory=list)
    graphs: list[str] = field(default_factory=list)
    responses: list[str] = field(default_factory=list)
    decoders: list[str] = field(default_factory=list)
    novelty: list[str] = field(default_factory=list)
    selected: list[str] = field(default_factory=list)
    leak_proof: str | None = None
    provenance: str | None = None
    benchmarks: str | None = None


def build_report(
    files: Files, out: str | Path, cfg: Mapping[str, Any], results: str | Path, threads: int = 1
) -> None:
    """Write `out` (report/index.html) with thumbs/, pictures/ and data/ beside it.

    Figures go to `figures/` and tables as Markdown to `tables/`, both beside the report's folder.
    The same inputs give the same bytes.

    Parameters
    ----------
    cfg : title, seed, datasets {name: {subjects, simulated, settings}}, metrics (what
        `directions_of` the protocols says), and whatever else the settings shall show
    """
    out = Path(out)
    folder, figures = out.parent, out.parent.parent / "figures"
    _clear(folder, figures)
    folder.mkdir(parents=True, exist_ok=True)
    directions = Directions(cfg.get("metrics", {}))
    simulated = {str(name): bool(entry["simulated"]) for name, entry in cfg["datasets"].items()}

    images = read_optional(files.tables.get("image_metrics"))
    latents = read_optional(files.tables.get("latent_mse"))
    pairs = read_comparisons(read_optional(files.tables.get("comparisons")), directions)
    of_latents = read_optional(files.tables.get("latent_comparisons"))
    latent_pairs = read_comparisons(of_latents, directions)
    scores = read_image_scores(place_all(files.image_scores, results))
    novelty = read_novelty(place_all(files.novelty, results))
    shards = place_all(files.reconstructions, results)
    brains = read_brains(place_all(files.responses, results), place_all(files.graphs, results))
    decoders = place_all(files.decoders, results)
    inputs = {
        str(name): entry["settings"].get("inputs", {}) for name, entry in cfg["datasets"].items()
    }
    read_weights(brains, decoders, inputs)
    histories = read_histories(place_all(files.histories, results))
    proof = read_proof(files.leak_proof, simulated)

    galleries, glance = _galleries(folder, shards, scores, novelty, cfg, directions, threads)
    head = headline_columns(images) if images is not None else []
    image_tables = _image_tables(images, simulated, head, directions)
    latent_tables = _latent_tables(latents, simulated)
    times = methods.times_table(shards, decoders, files.benchmarks)
    page = Page(
        title=str(cfg["title"]),
        studies=studies(cfg, brains, galleries, place_all(files.selected, results), decoders),
        answers=[
            answers.is_it_chance(images, pairs, directions, simulated),
            which_fail(scores, galleries, directions),
            answers.was_test_used(proof),
            what_would_perfect_show(images, latents, pairs, galleries, directions, simulated),
            is_it_retrieval(
                scores,
                novelty,
                latents,
                galleries,
                directions,
                simulated,
                int(cfg.get("scoring", {}).get("n_bootstrap", 1000)),
                int(cfg["seed"]),
            ),
        ],
        headline=image_tables[0] if image_tables else None,
        proof=proof,
        glance=glance,
        galleries=galleries,
        catalogue=catalogue(galleries, directions, simulated),
        image_tables=[t for t in image_tables[1:] if not _repeats(t, image_tables[0])],
        latent_tables=latent_tables,
        dots=dot_blocks(images, head, directions, simulated, figures),
        forests=forest_blocks(pairs, latent_pairs, head, simulated, figures),
        curves=curve_blocks(histories, simulated, figures),
        novelty=novelty_blocks(scores, novelty, head, directions, simulated, figures),
        brains=_brain_blocks(brains, cfg, simulated, figures),
        settings=methods.settings_groups(cfg),
        versions=methods.versions(files.provenance),
        times=times or None,
        citations=methods.citations(cfg),
        provenance=os.path.relpath(files.provenance, folder) if files.provenance else "",
        size=methods.size_on_disk(folder, out),
    )
    page.missing = missing_parts(page)
    for table in [*image_tables, *latent_tables]:
        with whole(folder.parent / "tables" / f"{table.key}.md") as temporary:
            temporary.write_text(markdown(table), encoding="utf-8")
    render(page, out)


def _clear(folder: Path, figures: Path) -> None:
    """Remove what an earlier page wrote: it may have shown other datasets and protocols."""
    for made in (folder / "thumbs", folder / "pictures", folder / "data", figures):
        shutil.rmtree(made, ignore_errors=True)
    for pattern in ("headline.md", "images-*.md", "latent-*.md"):
        for path in (folder.parent / "tables").glob(pattern):
            path.unlink()


def _galleries(
    folder: Path,
    shards: Sequence[Placed],
    scores: "pd.DataFrame",
    novelty: "pd.DataFrame",
    cfg: Mapping[str, Any],
    directions: Directions,
    threads: int,
) -> tuple[list[Gallery], list[Chart]]:
    """Every subject's gallery and its picture at a glance, in the config's order."""
    found: dict[Subject, list[Pictures]] = {}
    for pictures in read_reconstructions(shards):
        found.setdefault(pictures.subject, []).append(pictures)
    galleries, charts = [], []
    for dataset, entry in cfg["datasets"].items():
        subjects = [(str(dataset), str(name)) for name in entry["subjects"]]
        subjects = [subject for subject in subjects if subject in found]
        if not subjects:
            continue
        reader = _open(entry["settings"], int(cfg["seed"]))
        for subject in subjects:
            mine, far = _of(scores, subject), _of(novelty, subject)
            gallery = write_gallery(folder, subject, found[subject], mine, far, reader, threads)
            galleries.append(gallery)
            made, is_simulated = found[subject], bool(entry["simulated"])
            charts.append(
                glance_chart(folder, gallery, mine, made, reader, directions, is_simulated)
            )
    return galleries, charts


def _open(settings: Mapping[str, Any], seed: int) -> Any:
    from afterimage.datasets import open_dataset

    return open_dataset(dict(settings), seed)


def _of(table: "pd.DataFrame", subject: Subject) -> "pd.DataFrame":
    return table[(table["dataset"] == subject[0]) & (table["subject"] == subject[1])]


def _image_tables(
    images: "pd.DataFrame | None",
    simulated: Mapping[str, bool],
    head: list[tuple[str, str]],
    directions: Directions,
) -> list[Table]:
    """The headline table, then one with every metric of each protocol."""
    if images is None:
        return []
    tables = [image_table(images, simulated, head, "headline", directions)]
    columns = image_columns(images)
    for protocol in dict.fromkeys(pair[0] for pair in columns):
        of_protocol = [pair for pair in columns if pair[0] == protocol]
        rows = images[images["protocol"] == protocol]
        table = image_table(rows, simulated, of_protocol, f"images-{protocol}", directions)
        tables.append(without_empty_columns(table))
    return tables


def without_empty_columns(table: Table) -> Table:
    """The table without columns that hold no number, unless all do; its notes say why."""
    rows = [row for group in table.groups for row in group.rows]
    kept = [i for i in range(len(table.columns)) if any(row.cells[i].value for row in rows)]
    if not kept:
        return table
    for row in rows:
        row.cells = [row.cells[i] for i in kept]
    table.columns = [table.columns[i] for i in kept]
    return table


def _repeats(table: Table, other: Table) -> bool:
    """Whether every column of a table stands in the other already."""
    return all(column in other.columns for column in table.columns)


def _latent_tables(latents: "pd.DataFrame | None", simulated: Mapping[str, bool]) -> list[Table]:
    if latents is None:
        return []
    tables = [latent_table(latents, simulated, target) for target in ("text", "image")]
    return [table for table in tables if table]


def _brain_blocks(
    brains: Mapping[Subject, Brain],
    cfg: Mapping[str, Any],
    simulated: Mapping[str, bool],
    figures: Path,
) -> list[Block]:
    blocks = []
    for subject, brain in sorted(brains.items()):
        is_simulated = simulated.get(subject[0], False)
        save = saver(figures, subject, is_simulated)
        unit = UNITS.get(str(cfg["datasets"][subject[0]]["settings"].get("format")), "")
        with style():
            charts = [
                save(figure, name, text, text)
                for name, figure, text in brain_figures(brain, label(subject, is_simulated), unit)
            ]
        if charts:
            blocks.append(Block(subject, is_simulated, charts))
    return blocks


def missing_parts(page: Page) -> dict[str, str]:
    """What each empty section would need, in a sentence for the page."""
    needs = {
        "headline": (page.headline, "tables/image_metrics.csv (rule tabulate)"),
        "gallery": (page.galleries, "reconstructions (rule reconstruct_images)"),
        "pictures": (page.headline, "tables/image_metrics.csv (rule tabulate)"),
        "comparisons": (page.forests, "tables/comparisons.csv (rule tabulate)"),
        "novelty": (page.novelty, "distances of the test images to the training images"),
        "latents": (page.latent_tables, "tables/latent_mse.csv (rule tabulate)"),
        "curves": (page.curves, "the histories of networks (rule train_decoder)"),
        "brain": (page.brains, "graphs or training responses (build_graph, extract_responses)"),
        "times": (page.times, "records of time and memory"),
    }
    return {
        section: f"Nothing to show here: this run has no {what}."
        for section, (there, what) in needs.items()
        if not there
    }
