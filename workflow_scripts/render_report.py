"""Make the page that a person looks at, with its figures and its tables as Markdown.

Inputs: the tables, and per subject what there is of reconstructions, scores, training histories,
graphs and training responses. Any list may be empty; the page then says what is missing. Output:
`report/index.html` with its thumbnails and data beside it, which opens from disk without a
network; figures go to `figures/`, tables as Markdown to `tables/`.
"""

from collections.abc import Mapping, Sequence
from typing import Any


def main(
    tables: Mapping[str, str],
    out: str,
    cfg: Mapping[str, Any],
    results: str = "results",
    reconstructions: Sequence[str] = (),
    image_scores: Sequence[str] = (),
    histories: Sequence[str] = (),
    graphs: Sequence[str] = (),
    responses: Sequence[str] = (),
    decoders: Sequence[str] = (),
    novelty: Sequence[str] = (),
    selected: Sequence[str] = (),
    leak_proof: str | None = None,
    provenance: str | None = None,
    benchmarks: str | None = None,
    threads: int = 1,
) -> None:
    """Render the page `out` from the run's files; see `afterimage.report.build.build_report`."""
    from afterimage.report.build import Files, build_report

    files = Files(
        tables=dict(tables),
        reconstructions=list(reconstructions),
        image_scores=list(image_scores),
        histories=list(histories),
        graphs=list(graphs),
        responses=list(responses),
        decoders=list(decoders),
        novelty=list(novelty),
        selected=list(selected),
        leak_proof=leak_proof,
        provenance=provenance,
        benchmarks=benchmarks,
    )
    build_report(files, out, cfg, results, threads)


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        given = snakemake.input
        names = (
            "reconstructions",
            "image_scores",
            "histories",
            "graphs",
            "responses",
            "decoders",
            "novelty",
            "selected",
        )
        tables = ("latent_mse", "image_metrics", "latent_comparisons", "comparisons")
        main(
            {name: given[name] for name in tables if name in given.keys()},  # noqa: SIM118
            snakemake.output[0],
            snakemake.params.cfg,
            snakemake.params.results,
            **{name: list(given.get(name, [])) for name in names},
            leak_proof=given.get("leak_proof") or None,
            provenance=given.get("provenance"),
            benchmarks=snakemake.params.get("benchmarks"),
            threads=snakemake.threads,
        )
