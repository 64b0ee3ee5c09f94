"""Small known brains for the decoders' tests: responses are a fixed mixture of few sources."""

import numpy as np

from afterimage.decoders.interface import Graph, Samples, Shapes

LATENT = (2, 3, 4)
SMALL = {
    "linear": {"kind": "linear"},
    "cnn": {"kind": "cnn", "channels": 4, "kernel": 5, "hidden": [64, 64]},
    "vae": {"kind": "vae", "hidden": [64, 32], "width": 32},
    "gcn": {"kind": "gcn", "width": 48, "hidden": 64, "channels": 4},
}
TRAINING = {"batch_size": 32, "learning_rate": 3e-3, "epochs": 30}


def entry(kind: str, **more) -> dict:
    """A config entry of a small decoder of a kind."""
    training = {} if kind == "linear" else TRAINING
    return {**SMALL[kind], **training, "seed": 3, **more}


def shapes(samples: Samples) -> Shapes:
    return Shapes(samples.x.shape[1], LATENT)


def brain(
    n_train: int = 240, noise: float = 0.5, seed: int = 0
) -> tuple[Samples, Samples, Samples]:
    """Training (two trials an image), validation and test samples of one linear brain."""
    rng = np.random.default_rng(seed)
    to_voxels = rng.normal(size=(6, 40)) / np.sqrt(6)
    to_outputs = rng.normal(size=(6, 24)) / np.sqrt(6)
    offset = rng.normal(size=24)

    def draw(n_images: int, repeats: int) -> Samples:
        sources = rng.normal(size=(n_images, 6))
        image = np.repeat(np.arange(n_images), repeats)
        x = sources[image] @ to_voxels + noise * rng.normal(size=(len(image), 40))
        y = sources @ to_outputs + offset
        return Samples(x.astype(np.float32), image, y.astype(np.float32))

    return draw(n_train // 2, 2), draw(40, 1), draw(120, 1)


def graph() -> Graph:
    """Three nodes of 18, 12 and 8 voxels, two voxels in none, one negative edge."""
    nodes = np.repeat([0, 1, 2, -1], [18, 12, 8, 2]).astype(np.int64)
    edges = np.array([[0, 0, 1], [1, 2, 2]], dtype=np.int64)
    return Graph(nodes, edges, np.array([0.9, -0.6, 0.7], dtype=np.float32))
