"""How far each test image is from its nearest training image, in latents and in features."""


def main(
    image_test: str,
    image_train: str,
    text_test: str,
    text_train: str,
    out: str,
    cfg: dict,
    weights: str | None = None,
    execution: dict | None = None,
) -> None:
    """Write distances to training.

    Parameters
    ----------
    image_test, image_train, text_test, text_train : zarr of true latents
    out : parquet with columns image_id, space (`image_latent`, `text_latent`, `alexnet5`),
        distance (1 - Pearson's r) and nearest (the training image's id)
    cfg : `features`: true to measure AlexNet's features too, with `dataset` (its settings) and
        `seed`
    weights : AlexNet's weights; without them the feature space is left out, and the log says so
    execution : `device`, `batch_size`
    """
    import pandas as pd

    from afterimage.metrics.novelty import nearest_training
    from afterimage.stores import read_arrays, write_table

    parts, ids = [], {}
    for space, name, paths in (
        ("image_latent", "z", (image_test, image_train)),
        ("text_latent", "c", (text_test, text_train)),
    ):
        test, train = (read_arrays(path, name, "image_id") for path in paths)
        first = 0 if name == "z" else 1  # the start token is the same for every caption
        distance, nearest = nearest_training(test[name][:, first:], train[name][:, first:])
        columns = {"image_id": test["image_id"], "space": space, "distance": distance}
        parts.append(pd.DataFrame({**columns, "nearest": train["image_id"][nearest]}))
        ids = {"test": test["image_id"], "train": train["image_id"]}
    if cfg.get("features"):
        parts += _features(ids, cfg, weights, execution or {})
    write_table(out, pd.concat(parts, ignore_index=True))


def _features(ids: dict, cfg: dict, weights: str | None, execution: dict) -> list:
    import pandas as pd

    from afterimage.datasets import open_dataset
    from afterimage.metrics.networks import picture_features
    from afterimage.metrics.novelty import nearest_training
    from afterimage.metrics.weights import metadata

    reason = metadata(weights)["reason"] if weights else "no weights were asked for"
    if reason:
        print(f"distances of AlexNet's features left out: {reason}", flush=True)
        return []
    dataset = open_dataset(cfg["dataset"], cfg["seed"])
    found = {
        split: picture_features(dataset.image, names, weights, execution)
        for split, names in ids.items()
    }
    distance, nearest = nearest_training(found["test"], found["train"])
    columns = {"image_id": ids["test"], "space": "alexnet5", "distance": distance}
    return [pd.DataFrame({**columns, "nearest": ids["train"][nearest]})]


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        main(
            image_test=snakemake.input.image_test,
            image_train=snakemake.input.image_train,
            text_test=snakemake.input.text_test,
            text_train=snakemake.input.text_train,
            out=snakemake.output[0],
            cfg=snakemake.params.cfg,
            weights=snakemake.input.get("weights"),
            execution=snakemake.params.execution,
        )
