"""Predict the latents of every image of the three splits with one trained decoder.

Inputs: the decoder's folder, which holds all that it needs, and the responses of the three splits.
Outputs: one array file a split, `z` or `c` in the latents' shape, a row per image sorted by id.
Training images are predicted from the mean of their trials' responses; text gets the start token's
vector in front.
"""


def main(
    decoder: str,
    responses_train: str,
    responses_validation: str,
    responses_test: str,
    out_train: str,
    out_validation: str,
    out_test: str,
    target: str,
    execution: dict,
) -> None:
    """Predict and save.

    Parameters
    ----------
    decoder : folder that train_decoder wrote
    target : image or text
    execution : {device, batch_size (0: chosen)}
    """
    import numpy as np

    from afterimage import stores
    from afterimage.decoders import data, files
    from afterimage.decoders.running import plan_execution
    from afterimage.errors import InputError

    model, start_token = files.load(decoder)
    plan = plan_execution(execution)
    for responses, out in (
        (responses_train, out_train),
        (responses_validation, out_validation),
        (responses_test, out_test),
    ):
        x, image_id = data.read_mean_responses(responses)
        if x.shape[1] != model.shapes.n_voxels:
            expected = f"{model.shapes.n_voxels} voxels, as {decoder} was trained on"
            raise InputError(responses, expected, str(x.shape[1]))
        predicted = model.predict(x, plan, int(execution.get("batch_size") or 0))
        predicted = predicted.reshape(len(x), *model.shapes.latent)
        if start_token is not None:
            first = np.broadcast_to(start_token, (len(x), 1, len(start_token)))
            predicted = np.concatenate([first, predicted], axis=1)
        arrays = {data.LATENT_NAMES[target]: predicted.astype(np.float32), "image_id": image_id}
        stores.write_arrays(out, arrays)


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        main(
            snakemake.params.decoder,
            snakemake.input.responses_train,
            snakemake.input.responses_validation,
            snakemake.input.responses_test,
            snakemake.output.train,
            snakemake.output.validation,
            snakemake.output.test,
            snakemake.wildcards.target,
            snakemake.params.execution,
        )
