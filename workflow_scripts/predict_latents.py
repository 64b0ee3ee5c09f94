"""Predict the latents of every image of the three splits with one trained decoder.

Inputs: the decoder's folder, which holds all that it needs, and the responses of the three splits.
Outputs: one array file a split, `z` or `c` in the latents' shape, a row per image sorted by id.
Training images are predicted from the mean of their trials' responses; text gets the start token's
vector in front. Two further files hold predictions from two halves of the test images' repeats, for
the noise ceiling.
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
        latents = _latents(model, start_token, x, plan, execution)
        stores.write_arrays(out, {data.LATENT_NAMES[target]: latents, "image_id": image_id})


def predict_halves(
    decoder: str,
    trials: str,
    betas: list[str],
    training: str,
    out_first: str,
    out_second: str,
    target: str,
    area: str,
    execution: dict,
) -> None:
    """Predict from the two halves of each test image's repeats; the noise ceiling needs them.

    Parameters
    ----------
    decoder : folder that train_decoder wrote
    trials : table of trials
    betas : stores of the test split's single trials
    training : training responses of the area, for their statistics
    out_first, out_second : zarr of predictions for images that were shown twice or more; without
        rows where none was
    target, area : `image` or `text`, and the `lower` or `higher` area that it is decoded from
    execution : device, batch_size
    """
    import numpy as np

    from afterimage import stores
    from afterimage.decoders import data, files
    from afterimage.decoders.running import plan_execution
    from afterimage.metrics.halves import choose_halves, half_responses

    table = stores.read_table(trials)
    chosen, lengthening = choose_halves(table[table["split"] == "test"])
    model, start_token = files.load(decoder)
    plan = plan_execution(execution)
    if len(chosen):
        first, second, image_id = half_responses(chosen, betas, area, training)
    else:
        print("no test image was shown twice: no noise ceiling")
        first = second = np.zeros((0, model.shapes.n_voxels), np.float32)
        image_id = np.array([], dtype=str)
    for x, out in ((first, out_first), (second, out_second)):
        latents = _latents(model, start_token, x, plan, execution)
        arrays = {data.LATENT_NAMES[target]: latents, "image_id": image_id}
        stores.write_arrays(out, arrays, {"lengthening": lengthening})


def _latents(model, start_token, x, plan, execution: dict):
    """Predictions in the latents' shape, float32; text gets the start token's vector in front."""
    import numpy as np

    shape = (len(x), *model.shapes.latent)
    if not len(x):
        predicted = np.zeros(shape, np.float32)
    else:
        predicted = model.predict(x, plan, int(execution.get("batch_size") or 0)).reshape(shape)
    if start_token is not None:
        first = np.broadcast_to(start_token, (len(x), 1, len(start_token)))
        predicted = np.concatenate([first, predicted], axis=1)
    return predicted.astype(np.float32)


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
        predict_halves(
            snakemake.params.decoder,
            snakemake.input.trials,
            list(snakemake.input.betas),
            snakemake.input.responses_train,
            snakemake.output.first,
            snakemake.output.second,
            snakemake.wildcards.target,
            snakemake.params.area,
            snakemake.params.execution,
        )
