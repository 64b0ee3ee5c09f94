"""Predict latents from two halves of each test image's repeats, for the noise ceiling."""


def main(
    trials: str,
    betas: list[str],
    training: str,
    decoder: str,
    out_first: str,
    out_second: str,
    target: str,
    area: str,
    execution: dict,
    split: str = "test",
) -> None:
    """Write the two halves' predictions; score_latents turns them into `r_ceiling`.

    Parameters
    ----------
    trials : table of trials
    betas : stores of the split's single trials
    training : training responses of the area, for their statistics
    decoder : folder that train_decoder wrote
    out_first, out_second : zarr of predictions for images that were shown twice or more
    target, area : `image` or `text`, and the `lower` or `higher` area that it is decoded from
    execution : device, batch_size
    """
    from afterimage.decoders import files
    from afterimage.decoders.running import plan_execution
    from afterimage.metrics.halves import choose_halves, half_responses
    from afterimage.stores import read_table, write_arrays

    table = read_table(trials)
    chosen, lengthening = choose_halves(table[table["split"] == split])
    first, second, image_ids = half_responses(chosen, betas, area, training)
    model, start_token = files.load(decoder)
    plan = plan_execution(execution)
    for x, out in ((first, out_first), (second, out_second)):
        latents = model.predict(x, plan, int(execution.get("batch_size") or 0))
        latents = latents.reshape(len(x), *model.shapes.latent)
        arrays = {"z" if target == "image" else "c": _with_start(latents, start_token)}
        write_arrays(out, {**arrays, "image_id": image_ids}, {"lengthening": lengthening})


def _with_start(latents, start_token):
    """Latents of text get the start token's vector in front, as predictions have it."""
    import numpy as np

    if start_token is None:
        return latents.astype(np.float32)
    first = np.broadcast_to(start_token, (len(latents), 1, len(start_token)))
    return np.concatenate([first, latents], axis=1).astype(np.float32)


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        main(
            trials=snakemake.input.trials,
            betas=list(snakemake.input.betas),
            training=snakemake.input.training,
            decoder=snakemake.params.decoder,
            out_first=snakemake.output.first,
            out_second=snakemake.output.second,
            target=snakemake.wildcards.target,
            area=snakemake.params.area,
            execution=snakemake.params.execution,
        )
