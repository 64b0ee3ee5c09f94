"""Text embeddings of a subject's images: the text encoder's output, averaged over all captions.

Inputs: the trials table and the caption files. Output: a zarr store per split with c (images,
tokens, width) and image_id, sorted by id. Finished blocks of an interrupted job are kept in the
state folder.
"""

from typing import Any

BLOCK = 64  # images that are read, embedded and kept together


def main(
    trials: str,
    outputs: dict[str, str],
    cfg: dict[str, Any],
    execution: dict[str, Any],
    state: str,
    code: str = "",
) -> None:
    """Embed the captions of every split's images.

    Parameters
    ----------
    trials : the trials table; the image ids of each split are taken from it
    outputs : split -> the store to write
    cfg : dataset (settings of the dataset's reader), seed, model, revision, n_tokens
    execution : device, batch_size (captions at once); the text encoder always runs in float32
    state : folder for finished blocks
    code : fingerprint of the code; blocks made by other code are made again
    """
    from afterimage.datasets import open_dataset
    from afterimage.diffusion.files import find_model
    from afterimage.diffusion.model import load_parts
    from afterimage.diffusion.resumable import State, fingerprint, stream_rows
    from afterimage.diffusion.selection import captions_of, images_of_split

    ids = {out: images_of_split(trials, split) for split, out in outputs.items()}
    n_tokens = cfg["n_tokens"]
    files = find_model(cfg["model"], cfg["revision"], ("text",), n_tokens)
    dataset = open_dataset(cfg["dataset"], cfg["seed"])
    captions = {out: captions_of(dataset, names) for out, names in ids.items()}
    generator = load_parts(files, execution["device"], parts=("text",))
    batch_size = execution["batch_size"] or (512 if generator.device == "cuda" else 64)
    settings = {"block": BLOCK, "batch_size": batch_size}
    inputs = fingerprint(cfg, list(captions.items()), code, files.identity())
    kept = State(state, inputs, settings)
    # One for each split: no text shares a batch, and so a rounding, with another split's.
    embedders = {
        out: _embedder(generator, n_tokens, kept.settings["batch_size"], list(texts.values()))
        for out, texts in captions.items()
    }
    split_of = {name: out for out, names in ids.items() for name in names}

    def compute(block: list[str]) -> Any:
        out = split_of[block[0]]
        return embedders[out].mean_embeddings([captions[out][name] for name in block])

    attributes = {
        "model": cfg["model"],
        "revision": files.revision,
        "n_tokens": n_tokens,
    }
    shape = (n_tokens, files.text_width)
    stream_rows(ids, kept, "c", shape, compute, lambda block: block, attributes)


def _embedder(generator: Any, n_tokens: int, batch_size: int, texts: list[list[str]]) -> Any:
    from afterimage.diffusion.captions import CaptionEmbedder

    blocks = [texts[first : first + BLOCK] for first in range(0, len(texts), BLOCK)]
    return CaptionEmbedder(generator, n_tokens, batch_size, blocks)


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
