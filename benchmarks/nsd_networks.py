"""The networks at NSD's true size on random data, and whether two ways of training are equal."""

import math
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from afterimage import decoders
from afterimage.decoders.interface import Execution, Graph, Samples, Shapes
from afterimage.decoders.networks import Network
from afterimage.decoders.steps import Resident, convolutions
from benchmarks.plain_training import on_device, plain_batches, plain_network

NODES = (4_308, 2_916, 3_407)
LOWER, HIGHER = sum(NODES), 7_604
IMAGE, TEXT = (4, 40, 40), (14, 768)
NETWORKS = {
    "text cnn": {
        "kind": "cnn",
        "n_blocks": 3,
        "convolutions_per_block": 3,
        "kernel": 7,
        "hidden": [1024, 2048],
        "learning_rate": 1e-4,
        "batch_size": 16,
    },
    "image cnn": {"kind": "cnn", "learning_rate": 5e-4, "batch_size": 256},
    "image vae": {"kind": "vae", "learning_rate": 5e-4, "batch_size": 256},
    "image gcn": {"kind": "gcn", "learning_rate": 1e-3, "batch_size": 64},
}
TRIALS, TRAINING_TRIALS, TRAINING_IMAGES, EPOCHS = 24_980, 22_482, 7_973, 100
"""NSD's subject 1: training and validation together; nine tenths of them; the cap."""

TOLERANCES = {"loss": 1e-5, "gradient": 1e-3, "half": 0.05}
"""Relative to the plain way's: loss and gradients in float32, where another order of sums may
turn a ReLU whose input is almost zero; all gradients together in bfloat16, which has eight bits."""


@dataclass
class Subject:
    """Random data of the true widths for one network, and that network."""

    cfg: dict[str, Any]
    samples: Samples
    graph: Graph
    network: Network
    settings: Any


def synthetic(name: str, n_samples: int) -> tuple[Samples, Graph, Shapes]:
    """Random responses and latents of the true widths."""
    rng = np.random.default_rng(0)
    n_voxels, latent = (HIGHER, TEXT) if name.startswith("text") else (LOWER, IMAGE)
    shapes = Shapes(n_voxels, latent)
    n_images = min(n_samples, TRAINING_IMAGES)
    x = rng.standard_normal((n_samples, n_voxels), dtype=np.float32)
    y = rng.standard_normal((n_images, shapes.n_outputs), dtype=np.float32)
    graph = Graph(
        np.repeat([0, 1, 2], NODES).astype(np.int64),
        np.array([[0, 0, 1], [1, 2, 2]], dtype=np.int64),
        np.array([0.9, 0.8, 0.9], dtype=np.float32),
    )
    return Samples(x, np.arange(n_samples) % n_images, y), graph, shapes


def subject(name: str, steps: int, batch_limit: int) -> Subject:
    """Make data and an untrained network, prepared as before a fit."""
    cfg = {**NETWORKS[name], "seed": 0}
    cfg["batch_size"] = min(cfg["batch_size"], batch_limit or cfg["batch_size"])
    samples, graph, shapes = synthetic(name, cfg["batch_size"] * steps)
    decoder = decoders.make(cfg, shapes, graph)
    with torch.no_grad():
        decoder.network.prepare(torch.from_numpy(samples.x[:16]))
    return Subject(cfg, samples, graph, decoder.network, decoder.settings)


def gradients(network: torch.nn.Module, arguments: list) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and every weight's gradient, by name; the same noise for every caller."""
    network.train()
    torch.manual_seed(0)
    loss, _ = network.training_loss(*arguments)  # type: ignore[operator]
    loss.backward()
    named = network.named_parameters()
    return float(loss.detach()), {name.replace("module.", ""): one.grad for name, one in named}


def differences(subject: Subject, execution: Execution) -> dict[str, float]:
    """Relative differences to the plain way's loss and gradients, on one batch.

    Returns
    -------
    loss; gradient, the largest over weights (of one, or of a thousandth of all together where that
    is longer: a bias before batch normalisation has a gradient of zero); half, of all gradients
    together, with the precision that training has
    """
    n = min(subject.cfg["batch_size"], 64 if execution.device == "cuda" else 4)
    few = Samples(subject.samples.x[:n], subject.samples.image[:n], subject.samples.y)
    plain = plain_network(subject.network).to(execution.device)
    batch = next(iter(plain_batches(plain, few, subject.graph, n, shuffle=False)))
    own = Resident(few, execution.device)
    arguments = list(own.batch(torch.arange(n, device=execution.device)))
    with convolutions(replace(execution, half=False)):
        network = deepcopy(subject.network).to(execution.device)
        loss, ours = gradients(network, arguments)
        plain_loss, theirs = gradients(plain, on_device(batch, execution.device))
    together = math.sqrt(sum(float(one.square().sum()) for one in theirs.values()))
    found = {
        "loss": abs(loss - plain_loss) / plain_loss,
        "gradient": max(
            float((ours[name] - one).norm()) / max(float(one.norm()), 1e-3 * together)
            for name, one in theirs.items()
        ),
        "half": 0.0,
    }
    if execution.half:
        network = deepcopy(subject.network).to(execution.device)
        with torch.autocast(execution.device, torch.bfloat16):
            _, halves = gradients(network, arguments)
        apart = sum(float((halves[name] - one).square().sum()) for name, one in theirs.items())
        found["half"] = math.sqrt(apart) / together
    return found
