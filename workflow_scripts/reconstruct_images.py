"""Pictures of one method and shard: predicted latents and embeddings through Stable Diffusion.

Inputs: stores of predicted z and c (as latents, by image_id). Output: a folder with one PNG per
image and sample, manifest.csv and sidecar.json. Finished batches of an interrupted shard are kept
in the state folder and not made again.
"""

from pathlib import Path
from typing import Any


def main(
    z: str | None,
    c: str | None,
    out: str,
    cfg: dict[str, Any],
    execution: dict[str, Any],
    state: str,
    shard: int = 0,
    n_shards: int = 1,
    code: str = "",
) -> None:
    """Make the pictures of one shard.

    Parameters
    ----------
    z, c : zarr stores of predictions; the one that `variant` leaves out may be None
    out : the shard's folder
    cfg : model, revision, n_tokens, seed, resolution, n_samples, steps, strength, guidance, eta,
        variant (both, image_only or text_only); image_size to check z by
    execution : device, precision, batch_size (0 finds it), compile, workers
    state : folder for finished batches
    shard, n_shards : which part of the images, 0 to n_shards - 1
    code : fingerprint of the code; batches made by other code are made again
    """
    from afterimage.diffusion.files import find_model
    from afterimage.diffusion.requests import read_requests
    from afterimage.diffusion.resumable import fingerprint
    from afterimage.diffusion.sampling import Schedule

    schedule = Schedule(cfg["steps"], cfg["strength"], cfg["guidance"], cfg["eta"])
    print(f"{schedule.n_run} of {schedule.steps} steps are run", flush=True)
    files = find_model(cfg["model"], cfg["revision"], n_tokens=cfg["n_tokens"])
    schedule.check(files)
    requests = read_requests(z, c, files, cfg, shard, n_shards)
    inputs = fingerprint(
        cfg, shard, n_shards, code, files.identity(), requests.image_id, requests.z, requests.c
    )
    _paint(files, requests, schedule, inputs, Path(out), cfg, execution, state)


def _paint(
    files: Any,
    requests: Any,
    schedule: Any,
    inputs: str,
    out: Path,
    cfg: dict[str, Any],
    execution: dict[str, Any],
    folder: str,
) -> None:
    import torch

    from afterimage.diffusion.batches import Limit, sampling_batch, vae_batch
    from afterimage.diffusion.encoding import embed_texts
    from afterimage.diffusion.model import load_parts
    from afterimage.diffusion.reconstruction import Painter, gather, paint_shard
    from afterimage.diffusion.resumable import State, fingerprint
    from afterimage.jobs import progress

    generator = load_parts(
        files, execution["device"], execution["precision"], compiled=execution["compile"]
    )
    empty = embed_texts(generator, [""], cfg["n_tokens"])[0]
    generator.text_encoder = None
    if generator.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    asked = execution["batch_size"]
    found = sampling_batch(generator, cfg["n_tokens"], asked)
    # Another device's batches differ by rounding and are kept; half precision's by more.
    state = State(folder, fingerprint(inputs, str(generator.dtype)), {"batch_size": found})
    painter = Painter(
        generator,
        requests,
        empty,
        schedule,
        cfg["seed"],
        cfg["n_samples"],
        cfg["resolution"],
        Limit(state.settings["batch_size"]),
        Limit(vae_batch(generator, generator.files.native_size)),
    )
    native = generator.files.native_size
    print(
        f"{len(painter.members)} pictures at {native} px, {painter.sampling.size} at a time, "
        f"on {generator.device} in {generator.dtype}",
        flush=True,
    )
    if native != cfg["resolution"]:
        print(f"enlarged to {cfg['resolution']} px by Lanczos at the end", flush=True)
    todo = painter.unfinished(state)
    if todo < len(painter.members):
        print(f"{len(painter.members) - todo} pictures were finished before", flush=True)
    batches = paint_shard(painter, state, execution["workers"])
    for _ in progress(batches, "pictures", total=todo, size=int):
        pass
    gather(painter, state, out, _sidecar(generator, cfg, len(painter.members) - todo))


def _sidecar(generator: Any, cfg: dict[str, Any], kept: int) -> dict[str, Any]:
    import torch

    on_gpu = generator.device == "cuda"
    return {
        "model": cfg["model"],
        "revision": generator.files.revision,
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "precision": str(generator.dtype).removeprefix("torch."),
        "peak_gpu_bytes": torch.cuda.max_memory_allocated() if on_gpu else None,
        "threads": torch.get_num_threads(),
        "native_size": generator.files.native_size,
        "pictures_kept_from_before": kept,
    }


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        main(
            snakemake.input.get("z"),
            snakemake.input.get("c"),
            snakemake.output[0],
            snakemake.params.cfg,
            snakemake.params.execution,
            snakemake.params.state,
            int(snakemake.params.shard),
            int(snakemake.params.n_shards),
            str(snakemake.params.get("code", "")),
        )
