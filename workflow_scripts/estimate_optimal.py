"""Predictions of the best linear decoder of a simulated brain, for the same responses.

Inputs: the truth, the responses to decode, and the training responses and latents (for the noise
and the concepts that were trained on). Output: a zarr store with z or c and image_id, in the shape
of a decoder's predictions.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

BLOCK = 64  # pictures or scenes that are encoded together


def main(
    truth: str,
    responses: str,
    responses_train: str,
    latents_train: str,
    out: str,
    target: str,
    cfg: dict[str, Any],
    execution: dict[str, Any],
) -> None:
    """Estimate the best linear decoder from new scenes and apply it.

    Parameters
    ----------
    truth : what was simulated for the subject
    responses : the responses to decode, of one area and one split
    responses_train : training responses of the same area
    latents_train : training latents of the target
    out : the store to write
    target : image or text
    cfg : n_scenes, dataset (the reader's settings: `text`, `simulate`), model, revision, and
        image_size (image) or n_tokens (text)
    execution : device, batch_size
    """
    from afterimage.simulation.optimal import best_linear_decoder, scene_population, voxels_at
    from afterimage.simulation.truth import read_truth
    from afterimage.stores import read_arrays, write_arrays

    known = read_truth(truth)
    trained = read_arrays(responses_train, "n_trials_averaged", "image_id")
    seen = read_arrays(responses, "x", "image_id", "voxel_xyz", "voxel_mean", "voxel_std")
    brain = voxels_at(known, seen["voxel_xyz"], responses)
    scenes = scene_population(known, trained["image_id"].tolist(), cfg["n_scenes"])
    if target == "image":
        name, targets = "z", image_latents(scenes, cfg, execution)
    elif known.n_things is None:
        name, targets = "c", caption_latents(scenes, known.seed, cfg, execution)
    else:
        name, targets = "c", _concept_latents(scenes, known, latents_train)
    noise_sd = brain.noise_sd * np.sqrt((1 / trained["n_trials_averaged"]).mean())
    decoder = best_linear_decoder(
        _answers(brain, scenes), noise_sd, targets.reshape(len(targets), -1)
    )
    percent = seen["x"].astype(np.float64) * seen["voxel_std"] + seen["voxel_mean"]
    predicted = decoder.predict(percent).reshape(len(percent), *targets.shape[1:])
    write_arrays(
        out,
        {name: predicted.astype(np.float32), "image_id": seen["image_id"]},
        {"n_scenes": len(scenes), "brain": brain.kind, "decoder": "best linear"},
    )


def _answers(brain: Any, scenes: Sequence[Any]) -> np.ndarray:
    from afterimage.simulation.brain import flat_features

    return brain.answers(flat_features(scenes))


def image_latents(
    scenes: Sequence[Any], cfg: dict[str, Any], execution: dict[str, Any]
) -> np.ndarray:
    """The scenes' pictures through the autoencoder, as `encode_images` takes them."""
    from afterimage.diffusion.batches import Limit, together, vae_batch
    from afterimage.diffusion.encoding import encode_pictures, resize
    from afterimage.diffusion.files import find_model
    from afterimage.diffusion.model import load_parts
    from afterimage.jobs import progress
    from afterimage.simulation.scenes import draw

    files = find_model(cfg["model"], cfg["revision"], parts=("vae",))
    generator = load_parts(files, execution["device"], "float32", ("vae",))
    limit = Limit(vae_batch(generator, cfg["image_size"], execution["batch_size"]))
    side = cfg["dataset"]["simulate"]["picture_size"]

    def encode(block: Sequence[Any]) -> np.ndarray:
        drawn = [resize(draw(scene, side), cfg["image_size"], "lanczos") for scene in block]
        pictures = np.stack(drawn)
        parts = limit.run(lambda part: encode_pictures(generator, pictures[part]), len(pictures))
        return together(parts).cpu().numpy()

    blocks = [scenes[first : first + BLOCK] for first in range(0, len(scenes), BLOCK)]
    return np.concatenate([encode(block) for block in progress(blocks, "scenes encoded")])


def caption_latents(
    scenes: Sequence[Any], seed: int, cfg: dict[str, Any], execution: dict[str, Any]
) -> np.ndarray:
    """The scenes' captions through the text encoder, as many of each as a picture has."""
    from afterimage.diffusion.captions import CaptionEmbedder
    from afterimage.diffusion.files import find_model
    from afterimage.diffusion.model import load_parts
    from afterimage.jobs import progress
    from afterimage.simulation.features import generator as random_generator
    from afterimage.simulation.scenes import captions

    files = find_model(cfg["model"], cfg["revision"], ("text",), cfg["n_tokens"])
    generator = load_parts(files, execution["device"], parts=("text",))
    rng = random_generator(seed, "optimal", "captions")
    n_captions = cfg["dataset"]["simulate"]["captions_per_image"]
    texts = [captions(scene, rng, n_captions) for scene in scenes]
    blocks = [texts[first : first + BLOCK] for first in range(0, len(texts), BLOCK)]
    embedder = CaptionEmbedder(generator, cfg["n_tokens"], execution["batch_size"] or BLOCK, blocks)
    means = [embedder.mean_embeddings(block) for block in progress(blocks, "scenes described")]
    return np.concatenate(means)


def _concept_latents(scenes: Sequence[Any], known: Any, latents_train: str) -> np.ndarray:
    """The embedding of each scene's concept, which is that of any training image of it."""
    from afterimage.stores import read_arrays

    stored = read_arrays(latents_train, "c", "image_id")
    of_kind = {
        known.scenes[name].things[0].kind: latent
        for name, latent in zip(stored["image_id"].tolist(), stored["c"], strict=True)
    }
    return np.stack([of_kind[scene.things[0].kind] for scene in scenes])


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        for target in ("image", "text"):
            main(
                snakemake.input.truth + f"/{snakemake.wildcards.subject}.npz",
                snakemake.input[f"responses_{target}"],
                snakemake.input[f"responses_{target}_train"],
                snakemake.input[f"latents_{target}_train"],
                snakemake.output[target],
                target,
                snakemake.params.cfg,
                snakemake.params.execution,
            )
