"""Score the decoders' predicted latents, a row per image and score; without torch."""

ARRAYS = {"image": "z", "text": "c"}


def main(
    predictions: str,
    latents: str,
    latents_train: str,
    out: str,
    target: str,
    identity: dict,
    cfg: dict,
    optimal: str | None = None,
    halves: list[str] | None = None,
) -> None:
    """Write the scores of one decoder on one split.

    Parameters
    ----------
    predictions : zarr of predicted latents, joined by id
    latents : zarr of the split's true latents
    latents_train : zarr of the training latents, for their mean
    out : parquet with columns image_id, score, value and those of `identity`; figures of the whole
        set have an empty image id and, in `draws`, their values under resampled images
    target : `image` or `text`
    identity : dataset, subject, decoder and split (and seed), repeated in every row
    cfg : `n_bootstrap` and `seed` of the resampled images
    optimal : predictions of the best possible decoder for the same images, where it is known
    halves : two stores of predictions from the two halves of each image's repeats, with no rows
        where none was repeated
    """
    import numpy as np
    import pandas as pd

    from afterimage.metrics.latent import latent_scores
    from afterimage.metrics.latent_controls import collapse_scores, novelty_scores
    from afterimage.metrics.set_draws import set_draws
    from afterimage.stores import positions, read_arrays, write_table

    name = ARRAYS[target]
    true = read_arrays(latents, name, "image_id")
    ids = true["image_id"]

    def by_id(path: str):
        found = read_arrays(path, name, "image_id")
        return found[name][positions(ids, found["image_id"], path)]

    predicted = by_id(predictions)
    train = read_arrays(latents_train, name)[name]
    mean = train.mean(axis=0, dtype=np.float64)
    best = by_id(optimal) if optimal else None
    scores = latent_scores(predicted, true[name], mean, target, ids, best)
    of_set: dict[str, float] = {}
    draws: dict[str, np.ndarray] = {}
    # Training images are their own nearest training image; what they collapse to says nothing.
    if identity.get("split") != "train":
        scores |= novelty_scores(predicted, true[name], train, target)
        sets = predicted, true[name], target, _read_halves(halves, name)
        of_set = collapse_scores(*sets)
        draws = set_draws(*sets, cfg["n_bootstrap"], cfg["seed"])
    parts = [pd.DataFrame({"image_id": ids, "score": key, "value": scores[key]}) for key in scores]
    parts += [
        pd.DataFrame({"image_id": "", "score": key, "value": [of_set[key]], "draws": [draws[key]]})
        for key in of_set
    ]
    table = pd.concat(parts, ignore_index=True)
    write_table(out, table.assign(**{**identity, "target": target}))


def _read_halves(halves: list[str] | None, name: str):
    """Predictions of both halves for the same images, and how much longer the whole is."""
    from afterimage.stores import positions, read_arrays, read_attributes

    if not halves:
        return None
    one, other = (read_arrays(path, name, "image_id") for path in halves)
    if not len(one[name]):
        return None
    rows = positions(one["image_id"], other["image_id"], halves[1])
    return one[name], other[name][rows], read_attributes(halves[0])["lengthening"]


if "snakemake" in globals():
    from itertools import zip_longest

    from afterimage.jobs import job_log
    from afterimage.methods import labels

    with job_log(snakemake.log[0], snakemake.threads):
        given, targets = snakemake.input, snakemake.params.targets
        # Only the test split has any of these two; halves come in pairs, in the decoders' order.
        optimal = dict(zip_longest(targets, given.get("optimal", [])))
        halves = list(given.get("halves", []))
        for place, (target, decoder) in enumerate(snakemake.params.decoders):
            main(
                predictions=given.predictions[place],
                latents=given.latents[targets.index(target)],
                latents_train=given.latents_train[targets.index(target)],
                out=snakemake.output[place],
                target=target,
                identity={**labels("decoder", decoder), **snakemake.wildcards},
                cfg=snakemake.params.cfg,
                optimal=optimal[target],
                halves=halves[2 * place : 2 * place + 2] or None,
            )
