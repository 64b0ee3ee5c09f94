"""Text embeddings of one split's images: the text encoder's output, averaged over all captions.

Inputs: the trials table and the caption files. Output: a zarr store with c (images, tokens, width)
and image_id, sorted by id. Finished blocks of an interrupted job are kept in the state folder.
"""

from typing import Any

BLOCK = 64  # images that are read, embedded and kept together


def main(
    trials: str,
    out: str,
    split: str,
    cfg: dict[str, Any],
    execution: dict[str, Any],
    state: str,
    code: str = "",
) -> None:
    """Embed the captions of one split's images.

    Parameters
    ----------
    trials : the trials table; only this split's ids are taken from it
    out : the store to write
    cfg : dataset (settings of the dataset's reader), seed, model, revision, n_tokens
    execution : device, batch_size (captions at once); the text encoder always runs in float32
    state : folder for finished blocks
    code : fingerprint of the code; blocks made by other code are made again
    """
    from afterimage.datasets import open_dataset
    from afterimage.diffusion.captions import CaptionEmbedder
    from afterimage.diffusion.files import find_model
    from afterimage.diffusion.model import load_parts
    from afterimage.diffusion.resumable import State, fingerprint, stream_rows
    from afterimage.diffusion.selection import captions_of, images_of_split

    ids = images_of_split(trials, split)
    n_tokens = cfg["n_tokens"]
    files = find_model(cfg["model"], cfg["revision"], ("text",), n_tokens)
    captions = captions_of(open_dataset(cfg["dataset"], cfg["seed"]), ids)
    generator = load_parts(files, execution["device"], parts=("text",))
    batch_size = execution["batch_size"] or (512 if generator.device == "cuda" else 64)
    settings = {"block": BLOCK, "batch_size": batch_size}
    texts = [captions[name] for name in ids]
    kept = State(state, fingerprint(cfg, ids, split, code, files.identity(), texts), settings)
    blocks = [texts[first : first + BLOCK] for first in range(0, len(texts), BLOCK)]
    embedder = CaptionEmbedder(generator, n_tokens, kept.settings["batch_size"], blocks)
    attributes = {
        "model": cfg["model"],
        "revision": files.revision or cfg["revision"],
        "n_tokens": n_tokens,
        "n_captions": sum(map(len, texts)),
    }
    stream_rows(
        out,
        kept,
        "c",
        ids,
        (n_tokens, files.text_width),
        embedder.mean_embeddings,
        lambda block: [captions[name] for name in block],
        attributes,
    )


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        main(
            snakemake.input.trials,
            snakemake.output[0],
            snakemake.wildcards.split,
            snakemake.params.cfg,
            snakemake.params.execution,
            snakemake.params.state,
            str(snakemake.params.get("code", "")),
        )
