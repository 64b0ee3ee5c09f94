"""From the stages' files to arrays for decoders, joined by image id."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from afterimage import stores
from afterimage.decoders.interface import Graph, Samples
from afterimage.errors import InputError

LATENT_NAMES = {"image": "z", "text": "c"}


def read_latents(
    path: str | Path, target: str
) -> tuple[np.ndarray, tuple[int, ...], np.ndarray, np.ndarray | None]:
    """Read what a decoder is to predict.

    Returns
    -------
    y : (n_images, n_outputs) float32; for text without the start token
    latent : shape of one image's y: (4, height, width), or (tokens - 1, width)
    image_id : (n_images,)
    start_token : (width,) for text, else None

    Raises
    ------
    InputError
        if the start token's vector is not the same for every image
    """
    name = LATENT_NAMES[target]
    arrays = stores.read_arrays(path, name, "image_id")
    values, start_token = arrays[name].astype(np.float32), None
    if target == "text":
        values, start_token = _split_start_token(path, values)
    return values.reshape(len(values), -1), values.shape[1:], arrays["image_id"], start_token


def _split_start_token(path: str | Path, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    start = values[0, 0].copy()
    # A mean over several captions rounds: a thousandth of the vector's size is still the same.
    apart = np.abs(values[:, 0] - start).max()
    if not apart <= 1e-3 * np.abs(start).max():
        raise InputError(
            path,
            "the same start token's vector for every caption",
            f"two that differ by {apart:.3g}",
            "The text encoder must see a start token first and look only backwards.",
        )
    return values[:, 1:], start


def read_samples(
    responses: str | Path, y: np.ndarray, image_id: np.ndarray, latents: str | Path
) -> Samples:
    """Join one split's responses to its latents, by image id."""
    arrays = stores.read_arrays(responses, "x", "image_id")
    seen, of_sample = np.unique(arrays["image_id"], return_inverse=True)
    rows = stores.positions(seen.tolist(), image_id.tolist(), f"{latents} for {responses}")
    return Samples(_finite(responses, arrays["x"]), rows[of_sample], y)


def read_mean_responses(responses: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """One response per image, the mean over its samples.

    Returns
    -------
    x (n_images, n_voxels) float32 and image_id (n_images,), sorted by image id
    """
    arrays = stores.read_arrays(responses, "x", "image_id")
    x = _finite(responses, arrays["x"])
    images, of_sample = np.unique(arrays["image_id"], return_inverse=True)
    order = np.argsort(of_sample, kind="stable")
    counts = np.bincount(of_sample)
    begins = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return np.add.reduceat(x[order], begins, axis=0) / counts[:, None].astype(np.float32), images


def _finite(path: str | Path, x: np.ndarray) -> np.ndarray:
    bad = np.flatnonzero(~np.isfinite(x).all(axis=0))
    if len(bad):
        raise InputError(
            path, "finite responses", f"{len(bad)} voxels that are not, first {bad[0]}"
        )
    return x


def read_graph(path: str | Path) -> Graph:
    """Read what decoders need of graph.zarr."""
    return Graph(**stores.read_arrays(path, "node_of_voxel", "edge_index", "edge_weight"))


def fingerprint(
    values: Mapping[str, Any], samples: list[Samples], graph: Graph | None, *more: object
) -> str:
    """A key of everything that decides trained weights: settings, data and this package's code."""
    digest = hashlib.sha256(json.dumps([values, *map(str, more)], sort_keys=True).encode())
    arrays = [array for part in samples for array in (part.x, part.image, part.y)]
    arrays += list(vars(graph).values()) if graph else []
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).data)
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:24]
