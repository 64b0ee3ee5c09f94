"""Which images and captions of a dataset a job encodes: those of one split, and no others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from afterimage.diffusion.files import ModelFiles
from afterimage.errors import InputError
from afterimage.stores import read_table


class HasCaptions(Protocol):
    """The part of a dataset that gives captions."""

    def captions(self, image_id: str) -> list[str]:
        """All captions of one image."""
        ...


def images_of_split(trials: str | Path, split: str) -> list[str]:
    """Ids of one split's images in the trials table, each once, sorted.

    Raises
    ------
    InputError
        if the split has none
    """
    table = read_table(trials)
    ids = sorted(set(table.loc[table["split"] == split, "image_id"].astype(str)))
    if not ids:
        raise InputError(trials, f"images of split {split!r}", "none")
    return ids


def check_image_size(image_size: int, files: ModelFiles) -> int:
    """Side of the latents of pictures of this size; the size must be a multiple of the scale."""
    if image_size < 1 or image_size % files.scale_factor:
        raise InputError(
            "diffusion.image_size",
            f"a multiple of {files.scale_factor}, the VAE's scale factor",
            str(image_size),
        )
    return image_size // files.scale_factor


def captions_of(dataset: HasCaptions, ids: Sequence[str]) -> dict[str, list[str]]:
    """The captions of each image; an image without any is an error."""
    captions = {name: list(dataset.captions(name)) for name in ids}
    without = [name for name, texts in captions.items() if not texts]
    if without:
        raise InputError(
            "captions",
            "at least one per image",
            f"none for {len(without)} images, first {without[0]}",
        )
    return captions
