"""What each method hands to the generator: which predicted (or, once, true) latents per image."""

import re
from collections.abc import Sequence

import numpy as np

from afterimage import stores

METHODS = {
    "linear": "the linear decoders' predictions",
    "best": "the predictions of the candidates with the lowest validation error",
    "shuffled": "the predictions of best, each given to another image",
    "mean": "the mean training latents, the same for every image",
    "oracle": "the true latents of the test images: what a perfect decoder would have shown",
    "image_only": "the image prediction of best, without text",
    "text_only": "the text prediction of best, from pure noise",
}
"""The methods that come with the project, and what each shows."""

FROM_BEST = ("best", "shuffled", "image_only", "text_only")
TRAINED = ("linear", *FROM_BEST)
"""The methods whose latents were predicted by decoders, which were trained with some seed."""


def of_seed(name: str, seed: int) -> str:
    """A decoder's or method's name as trained with a seed, counted from 0.

    The first has the plain name, so that asking for more of them makes nothing again.
    """
    return f"{name}/seed{seed}" if seed else name


def with_seeds(name: str, n_seeds: int) -> list[str]:
    """The names of all seeds."""
    return [of_seed(name, seed) for seed in range(n_seeds)]


def split_seed(name: str) -> tuple[str, int]:
    """The plain name and the seed: `cnn/seed2` is (`cnn`, 2)."""
    plain, _, number = re.fullmatch(r"([^/]+)(/seed(\d+))?", name).groups()  # type: ignore[union-attr]
    return plain, int(number or 0)


def labels(kind: str, name: str) -> dict[str, str | int]:
    """Columns that name a decoder or method in score files; a further seed has one of its own."""
    plain, seed = split_seed(name)
    return {kind: plain, **({"seed": seed} if seed else {})}


def variant(method: str) -> str:
    """Which of the two latents the generator gets: both, image_only or text_only."""
    return method if method in ("image_only", "text_only") else "both"


def derangement(n: int, seed: int) -> np.ndarray:
    """A permutation of 0..n-1 that leaves nothing in its place (one random cycle).

    Sattolo, S. (1986). An algorithm to generate a random cyclic permutation.
    """
    if n < 2:
        raise ValueError("a derangement needs at least two images")
    rng = np.random.default_rng([seed, n])
    order = np.arange(n)
    for last in range(n - 1, 0, -1):
        other = rng.integers(last)
        order[last], order[other] = order[other], order[last]
    return order


def compose(method: str, latents: np.ndarray, image_id: Sequence[str], seed: int) -> np.ndarray:
    """The latents that each test image is reconstructed from.

    Parameters
    ----------
    latents : (n_images, ...) predictions of the test images, rows as image_id; for `mean`,
        (n_train_images, ...) true training latents
    image_id : (n_images,) test images, sorted

    Returns
    -------
    array, shape (n_images, ...)
    """
    if method == "shuffled":
        return latents[derangement(len(image_id), seed)]
    if method == "mean":
        mean = latents.mean(axis=0, dtype=np.float64).astype(np.float32)
        return np.broadcast_to(mean, (len(image_id), *mean.shape))
    return latents


def read_latents(path: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Latents and their image ids, in the order of the sorted ids."""
    arrays = stores.read_arrays(path, name, "image_id")
    order = np.argsort(arrays["image_id"])
    return arrays[name][order], arrays["image_id"][order]
