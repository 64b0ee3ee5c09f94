"""Latents of a subject's pictures: Lanczos to the image size, through the VAE, times its scale.

Inputs: the trials table and the stimulus files. Output: a zarr store per split with z (images,
channels, h, w) and image_id, sorted by id. Finished blocks of an interrupted job are kept in the
state folder.
"""

from typing import Any

BLOCK = 64  # images that are read, encoded and kept together


def main(
    trials: str,
    outputs: dict[str, str],
    cfg: dict[str, Any],
    execution: dict[str, Any],
    state: str,
    code: str = "",
) -> None:
    """Encode the images of every split.

    Parameters
    ----------
    trials : the trials table; the image ids of each split are taken from it
    outputs : split -> the store to write
    cfg : dataset (settings of the dataset's reader), seed, model, revision, image_size (pixels),
        latent ("mean" of the posterior, or "sample", seeded by image)
    execution : device, precision (auto is float32 here: these are targets), batch_size
    state : folder for finished blocks
    code : fingerprint of the code; blocks made by other code are made again
    """
    import numpy as np

    from afterimage.datasets import open_dataset
    from afterimage.diffusion.batches import Limit, together, vae_batch
    from afterimage.diffusion.encoding import encode_pictures, resize
    from afterimage.diffusion.files import find_model
    from afterimage.diffusion.model import load_parts
    from afterimage.diffusion.noise import noise_source
    from afterimage.diffusion.resumable import State, fingerprint, stream_rows
    from afterimage.diffusion.selection import check_image_size, images_of_split

    ids = {out: images_of_split(trials, split) for split, out in outputs.items()}
    files = find_model(cfg["model"], cfg["revision"], parts=("vae",))
    side = check_image_size(cfg["image_size"], files)
    dataset = open_dataset(cfg["dataset"], cfg["seed"])
    precision = "float32" if execution["precision"] == "auto" else execution["precision"]
    generator = load_parts(files, execution["device"], precision, ("vae",))
    limit = Limit(vae_batch(generator, cfg["image_size"], execution["batch_size"]))
    inputs = fingerprint(cfg, code, files.identity(), precision)  # stream_rows compares pictures
    kept = State(state, inputs, {"block": BLOCK, "batch_size": limit.size})
    limit.size = kept.settings["batch_size"]

    def read(block: list[str]) -> tuple[list[str], np.ndarray]:
        size = cfg["image_size"]
        return block, np.stack([resize(dataset.image(name), size, "lanczos") for name in block])

    def compute(raw: tuple[list[str], np.ndarray]) -> np.ndarray:
        block, pictures = raw

        def encode(part: slice) -> Any:
            sources = None
            if cfg["latent"] == "sample":
                sources = [noise_source(cfg["seed"], name, "posterior") for name in block[part]]
            return encode_pictures(generator, pictures[part], sources)

        return together(limit.run(encode, len(block))).cpu().numpy()

    attributes = {
        "model": cfg["model"],
        "revision": files.revision,
        "image_size": cfg["image_size"],
        "latent": cfg["latent"],
        "precision": precision,
        "scaling_factor": generator.vae.config.scaling_factor,
    }
    shape = (files.latent_channels, side, side)
    stream_rows(ids, kept, "z", shape, compute, read, attributes)


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        main(
            snakemake.input.trials,
            dict(snakemake.output.items()),
            snakemake.params.cfg,
            snakemake.params.execution,
            snakemake.params.state,
            str(snakemake.params.get("code", "")),
        )
