"""Score one method's pictures under named protocols, a row per image, sample and metric."""


def main(
    reconstructions: list[str],
    out: str,
    cfg: dict,
    identity: dict,
    weights: list[str] | str = (),
    trials: str | None = None,
    out_remarks: str | None = None,
    execution: dict | None = None,
) -> None:
    """Write per-image scores of pictures.

    Parameters
    ----------
    reconstructions : folders: shards with `manifest.csv`, or one folder of PNGs from elsewhere
        named `{image_id}.png` or `{image_id}_{sample}.png`
    out : parquet with columns image_id, sample, protocol, metric, measure, ways, value, n_samples,
        reason and those of `identity`
    cfg : `dataset` (its settings, for the seen pictures), `seed`, `protocols` (names or paths)
    identity : dataset, subject and method (and seed), repeated in every row
    weights : safetensors files that fetch_weights wrote; without them what needs them is marked
    trials : table of trials, whose test images are expected; needed for pictures from elsewhere
    out_remarks : text file for what is missing, extra or of another size, a line each
    execution : `device`, `batch_size` (0: 8 on the CPU, 64 on a GPU), `threads`
    """
    import pandas as pd

    from afterimage.datasets import open_dataset
    from afterimage.metrics.networks import load_networks
    from afterimage.metrics.pictures import find_reconstructions, note_sizes
    from afterimage.metrics.protocols import load_protocols
    from afterimage.metrics.scoring import COLUMNS, score_method
    from afterimage.stores import read_table, whole, write_table

    execution = execution or {}
    protocols = load_protocols(cfg["protocols"])
    expected = None
    if trials:
        table = read_table(trials)
        expected = table.loc[table["split"] == "test", "image_id"].unique()
    found = find_reconstructions(reconstructions, expected)
    note_sizes(found)
    for line in found.remarks():
        print(line, flush=True)
    paths = [weights] if isinstance(weights, str) else list(weights)
    networks = load_networks(protocols, paths, execution.get("device", "auto"))
    batch_size = execution.get("batch_size") or (64 if networks.device == "cuda" else 8)
    dataset = open_dataset(cfg["dataset"], cfg["seed"])
    threads = execution.get("threads", 1)
    rows = score_method(found, dataset.image, protocols, networks, batch_size, threads=threads)
    scores = pd.DataFrame(rows, columns=COLUMNS)
    for line in scores.loc[scores["reason"] != ""].itertuples():
        print(f"not computed: {line.protocol} {line.metric}: {line.reason}", flush=True)
    write_table(out, _described(scores, protocols, found).assign(**identity))
    if out_remarks:
        with whole(out_remarks) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in found.remarks()))


def _described(scores, protocols, found):
    """Add what each row measured and over how many samples its image was scored."""
    metrics = {(p.name, m.name): m for p in protocols for m in p.metrics}
    keys = list(zip(scores["protocol"], scores["metric"], strict=True))
    all_samples = [len(found.files.get(name, ())) for name in scores["image_id"]]
    first = [metrics[key].samples == "first" for key in keys]
    return scores.assign(
        measure=[metrics[key].measure for key in keys],
        ways=[metrics[key].ways for key in keys],
        n_samples=[min(n, 1) if only else n for n, only in zip(all_samples, first, strict=True)],
    )


if "snakemake" in globals():
    from afterimage.jobs import job_log
    from afterimage.methods import labels

    with job_log(snakemake.log[0], snakemake.threads):
        main(
            reconstructions=list(snakemake.input.reconstructions),
            out=snakemake.output.scores,
            cfg=snakemake.params.cfg,
            identity={**snakemake.wildcards, **labels("method", snakemake.wildcards.method)},
            weights=snakemake.input.get("weights", []),
            trials=snakemake.input.get("trials"),
            out_remarks=snakemake.output.get("remarks"),
            execution=snakemake.params.execution,
        )
