"""Train one decoder of one target on one subject.

Inputs: the training and validation responses and latents, and the subject's graph for the kinds
that need one. Outputs, in a folder: model.safetensors, model.json and history.csv.
A killed run resumes at its last saved epoch from `state`, an undeclared folder that is keyed by
settings, data and code and removed at the end.
"""


def main(
    responses_train: str,
    responses_validation: str,
    latents_train: str,
    latents_validation: str,
    graph: str | None,
    out: str,
    target: str,
    cfg: dict,
    execution: dict,
    state: str,
) -> None:
    """Train and save a decoder.

    Parameters
    ----------
    out : folder of the model's files
    target : image or text
    cfg : {kind, seed, that kind's hyper-parameters}
    execution : {device, precision, compile}
    state : folder for resuming
    """
    import time
    from pathlib import Path

    from afterimage import decoders
    from afterimage.decoders import checkpoints, data, files
    from afterimage.decoders.interface import Shapes, mean_squared_error
    from afterimage.decoders.running import peak_bytes, plan_execution
    from afterimage.errors import InputError

    begin = time.monotonic()
    kind = decoders.load_kind(decoders.check_settings(cfg, f"decoders.{target}"))
    y, latent, image_id, start_token = data.read_latents(latents_train, target)
    train = data.read_samples(responses_train, y, image_id, latents_train)
    y, _, image_id, _ = data.read_latents(latents_validation, target)
    validation = data.read_samples(responses_validation, y, image_id, latents_validation)
    if validation.x.shape[1] != train.x.shape[1]:
        expected = f"{train.x.shape[1]} voxels, as in training"
        raise InputError(responses_validation, expected, str(validation.x.shape[1]))
    wiring = data.read_graph(graph) if kind.needs_graph and graph else None
    shapes = Shapes(train.x.shape[1], latent)
    decoder = decoders.make(cfg, shapes, wiring)
    plan = plan_execution(execution)
    key = data.fingerprint(cfg, [train, validation], wiring, plan.device, plan.half)
    for other in Path(state).glob("*"):
        if other.name != key:
            checkpoints.clear(other)
    plan = plan_execution(execution, Path(state) / key)

    history = decoder.fit(train, validation, plan)
    errors = {
        f"{name}_error": mean_squared_error(decoder.predict(samples.x, plan), samples)
        for name, samples in (("train", train), ("validation", validation))
    }
    facts = {
        "target": target,
        "seed": decoder.settings.seed,
        **errors,
        "n_train": len(train.x),
        "n_validation": len(validation.x),
        "device": plan.device,
        "half_precision": plan.half,
        "seconds": time.monotonic() - begin,
        "training_seconds": sum(row["seconds"] for row in history),
        "peak_gpu_bytes": peak_bytes(plan.device),
    }
    files.save(out, decoder, facts, history, start_token)
    checkpoints.clear(state)


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        main(
            snakemake.input.responses_train,
            snakemake.input.responses_validation,
            snakemake.input.latents_train,
            snakemake.input.latents_validation,
            snakemake.input.get("graph"),
            snakemake.params.out,
            snakemake.wildcards.target,
            snakemake.params.cfg,
            snakemake.params.execution,
            snakemake.params.state,
        )
