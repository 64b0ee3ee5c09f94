"""How long one NSD subject's five decoders would take on a GPU, computed and not measured.

    python benchmarks/training_plan.py

Counts operations and moved bytes of every decoder at NSD's true size, on shapes without values, and
divides them by a share of two GPUs' data sheets. Computing and moving are added, as if a GPU never
did both at once. All epochs are assumed to run: early stopping, which ends most runs, only helps.
"""

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

TRIALS, EPOCHS = 22_482, 100
"""Nine tenths of subject 1's 24,980 trials, the rest is for validation; and the cap."""

REACHED = {"half": 0.25, "single": 0.1, "bandwidth": 0.6}
"""Assumed shares of the data sheet: networks; ridge, whose eigenvectors use a GPU badly; memory."""

LAUNCH = 8e-6
"""Seconds of the processor for each kernel. It runs ahead: a step takes the longer of the two."""

KERNELS_PER_LAYER = 12
"""Forward, backward, casts to half precision and back, and the optimiser's share."""

MOVES = 8
"""How often a layer's output is written or read, forward and backward, 2 bytes a value."""

OPTIMISER_BYTES = 28
"""Adam reads a weight, its gradient and two moments, and writes all but the gradient."""


@dataclass(frozen=True)
class GPU:
    """Peak operations a second in bfloat16 and float32, and bytes a second, by data sheet."""

    name: str
    half: float
    single: float
    bandwidth: float


GPUS = [
    GPU("A100 80 GB", 312e12, 19.5e12, 2.0e12),
    GPU("H100 SXM", 989e12, 67e12, 3.35e12),
]


def count(name: str) -> dict[str, Any]:
    """Operations and bytes of one training sample of a network, and those of one step.

    Returns
    -------
    batch, flops (of a sample, forward and backward), bytes (of a sample's activations),
    step_bytes (of the optimiser), kernels (of a step)
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from afterimage import decoders
    from benchmarks.nsd_networks import NETWORKS, synthetic

    cfg = NETWORKS[name]
    samples, graph, shapes = synthetic(name, 2)
    network = decoders.make(cfg, shapes, graph).network
    moved: list[int] = []
    layers = [module for module in network.modules() if not list(module.children())]
    for module in layers:
        module.register_forward_hook(lambda _, __, output: moved.append(output.numel()))
    x, y = torch.from_numpy(samples.x), torch.from_numpy(samples.y)
    counter = FlopCounterMode(display=False)
    with counter:
        network.training_loss(x, y)[0].backward()
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return {
        "batch": cfg["batch_size"],
        "flops": counter.get_total_flops() / len(x),
        "bytes": 2 * MOVES * sum(moved) / len(x),
        "step_bytes": OPTIMISER_BYTES * parameters,
        "kernels": KERNELS_PER_LAYER * len(layers),
    }


def network_seconds(counted: dict[str, Any], gpu: GPU) -> float:
    """All epochs of one network."""
    batch = counted["batch"]
    computing = batch * counted["flops"] / (REACHED["half"] * gpu.half)
    moved = batch * counted["bytes"] + counted["step_bytes"]
    device = computing + moved / (REACHED["bandwidth"] * gpu.bandwidth)
    return EPOCHS * -(-TRIALS // batch) * max(device, counted["kernels"] * LAUNCH)


def ridge_flops(n_voxels: int, n_outputs: int, folds: int = 5, n_alphas: int = 15) -> float:
    """Operations of `linear.covariance_ridge`, one fold more for the final fit.

    An eigendecomposition with vectors takes about 9 n^3 (Golub and Van Loan, Matrix Computations).
    """
    eigen = 9 * n_voxels**3
    covariance = 2 * TRIALS * n_voxels**2
    product = 2 * TRIALS * n_voxels * n_outputs + 2 * n_voxels**2 * n_outputs
    held = 2 * (TRIALS / folds) * n_voxels * (n_voxels + n_alphas * n_outputs)
    return (folds + 1) * (eigen + product) + 2 * covariance + folds * held


def ridge_seconds(n_voxels: int, n_outputs: int, gpu: GPU) -> float:
    """Ridge, in float32."""
    return ridge_flops(n_voxels, n_outputs) / (REACHED["single"] * gpu.single)


def main() -> None:
    from benchmarks.nsd_networks import HIGHER, IMAGE, LOWER, NETWORKS, TEXT

    times = {}
    for name in NETWORKS:
        counted = count(name)
        label = f"{name} | {counted['flops'] / 1e9:.2f}"
        times[label] = [network_seconds(counted, gpu) for gpu in GPUS]
    for target, voxels, latent in (("image", LOWER, IMAGE), ("text", HIGHER, TEXT)):
        seconds = [ridge_seconds(voxels, math.prod(latent), gpu) for gpu in GPUS]
        times[f"{target} linear | –"] = seconds
    print("| decoder | GFLOP a sample | " + " | ".join(f"{gpu.name}, s" for gpu in GPUS) + " |")
    print("|:--|--:|" + "--:|" * len(GPUS))
    for label, seconds in times.items():
        print(f"| {label} | " + " | ".join(f"{time:.0f}" for time in seconds) + " |")
    totals = [sum(column) / 60 for column in zip(*times.values(), strict=True)]
    print("| together | | " + " | ".join(f"{total:.1f} min" for total in totals) + " |")


if __name__ == "__main__":
    main()
