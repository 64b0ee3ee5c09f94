"""The tables: every score with its interval over images, and paired comparisons."""


def main(
    latent_scores: list[str],
    image_scores: list[str],
    out_latent: str,
    out_images: str,
    cfg: dict,
    trials: dict[tuple[str, str], str],
    out_latent_comparisons: str | None = None,
    out_comparisons: str | None = None,
) -> None:
    """Write the tables as CSV.

    Parameters
    ----------
    latent_scores, image_scores : parquet files of score_latents and score_images
    out_latent, out_images : `latent_mse.csv`, `image_metrics.csv`
    cfg : `n_bootstrap`, `seed`; optional `external` (other systems' methods, compared with every
        other as best and linear are), `categories` (dataset -> {`source`: `concept` from THINGS
        ids, or `file` with `path`, a CSV of image_id and category}) and `schemes` (dataset -> how
        its images were split)
    trials : (dataset, subject) -> trials.parquet; with `schemes` these give every table's columns
        `split_scheme`, `n_train` (images that trained) and `n_excluded` (images taken out)
    out_latent_comparisons, out_comparisons : tables of paired differences
    """
    from afterimage.metrics import comparisons, tabulation
    from afterimage.metrics.categories import read_categories
    from afterimage.stores import write_table

    latents = tabulation.read_scores(latent_scores)
    images = tabulation.read_scores(image_scores)
    tabulation.check_rows(latents, [*tabulation.LATENT_KEYS, "seed", "score", "image_id"])
    tabulation.check_rows(images, [*tabulation.IMAGE_KEYS, "seed", "sample", "image_id"])
    n_bootstrap, seed = cfg["n_bootstrap"], cfg["seed"]
    splits = split_columns(trials, cfg.get("schemes", {}))

    def with_split(table):
        return table.merge(splits, how="left", on=["dataset", "subject"], validate="m:1")

    write_table(out_latent, with_split(tabulation.latent_table(latents, n_bootstrap, seed)))
    categories = read_categories(cfg.get("categories") or {}, images)
    image_table = tabulation.image_table(images, n_bootstrap, seed, categories)
    write_table(out_images, with_split(image_table))
    if out_latent_comparisons:
        found = comparisons.latent_comparisons(latents, n_bootstrap, seed)
        write_table(out_latent_comparisons, with_split(found))
    if out_comparisons:
        methods = ["best", "linear", *cfg.get("external", [])]
        found = comparisons.image_comparisons(images, methods, n_bootstrap, seed)
        write_table(out_comparisons, with_split(found))


def split_columns(trials: dict[tuple[str, str], str], schemes: dict[str, str]):
    """One row per subject: dataset, subject, split_scheme, n_train, n_excluded."""
    import pandas as pd

    from afterimage.splits import EXCLUDED, count_splits
    from afterimage.stores import read_table

    names = ["dataset", "subject", "split_scheme", "n_train", "n_excluded"]
    rows = []
    for (dataset, subject), path in trials.items():
        counts = count_splits(read_table(path))
        images = [counts.get(split, {}).get("images", 0) for split in ("train", EXCLUDED)]
        rows.append([dataset, subject, schemes.get(dataset, ""), *images])
    return pd.DataFrame(rows, columns=names)


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        main(
            latent_scores=list(snakemake.input.get("latent_scores", [])),
            image_scores=list(snakemake.input.get("image_scores", [])),
            out_latent=snakemake.output.latent,
            out_images=snakemake.output.images,
            cfg=snakemake.params.cfg,
            trials=dict(zip(snakemake.params.subjects, snakemake.input.trials, strict=True)),
            out_latent_comparisons=snakemake.output.get("latent_comparisons"),
            out_comparisons=snakemake.output.get("comparisons"),
        )
