"""Training throughput of every network at NSD's true size, beside a plain implementation.

    python benchmarks/training.py                       # a GPU if there is one
    python benchmarks/training.py --ridge               # and how long the two ridges take
    python benchmarks/training.py --also compile eager  # other ways of computing the same

Ours and the plain way (benchmarks/plain_training.py) train equal networks on the same random
data, in turns within one run; medians count. Both must give the same loss and gradients in float32
for the same batch and weights. It prints a table, and last one line of JSON: `ratio`, the smallest
of ours / plain, `equal`, the hardware, and what one subject's decoders would take at these rates.
"""

import argparse
import gc
import json
import math
import platform
import resource
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from afterimage import decoders
from afterimage.decoders import training
from afterimage.decoders.interface import Execution, Graph, Samples, Shapes
from afterimage.decoders.networks import Network
from afterimage.decoders.running import plan_execution
from afterimage.decoders.steps import Resident, convolutions, make_step
from benchmarks.plain_training import (
    PlainConvolutions,
    on_device,
    plain_batches,
    plain_epoch,
    plain_network,
)

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
STEPS = {"text cnn": 64, "image cnn": 10, "image vae": 20, "image gcn": 30}
"""Of an epoch on a GPU, about a third of a second of the plain way; 8 on a CPU."""

TRIALS, TRAINING_TRIALS, TRAINING_IMAGES, EPOCHS = 24_980, 22_482, 7_973, 100
"""NSD's subject 1: training and validation together; nine tenths of them; the cap."""

TOLERANCES = {"loss": 1e-5, "gradient": 1e-3, "half": 0.05}
"""Relative to the plain way's: loss and gradients in float32, where another order of sums may
turn a ReLU whose input is almost zero; all gradients together in bfloat16, which has eight bits."""

WAYS: dict[str, dict[str, bool]] = {
    "default": {},
    "eager": {"record": False, "compile": False},
    "record": {"record": True, "compile": False},
    "compile": {"record": False, "compile": True},
    "compile-record": {"record": True, "compile": True},
    "float32": {"half": False},
    "channels-first": {},
}
"""How the package's own loop is computed; the last one has PyTorch's layout of convolutions."""


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


def our_epoch(subject: Subject, way: str, execution: Execution) -> Callable[[], None]:
    """Give a function that trains an epoch by the package's own loop."""
    network = deepcopy(subject.network)
    if way == "channels-first":
        network = PlainConvolutions(network)
    network = network.to(execution.device)
    data = Resident(subject.samples, execution.device)
    optimiser = training.adam(network, subject.settings)
    step = make_step(network, optimiser, data, subject.settings, execution)

    def epoch() -> None:
        with convolutions(execution):
            training.train_epoch(network, step)

    return epoch


def seconds(epoch: Callable[[], None], device: str) -> float:
    """Wall time of one epoch, the device's work included."""
    synchronise(device)
    begin = time.perf_counter()
    epoch()
    synchronise(device)
    return time.perf_counter() - begin


def synchronise(device: str) -> None:
    """Wait for what the device still computes."""
    if device == "cuda":
        torch.cuda.synchronize()


def first_epoch(build: Callable[[], Callable[[], None]], device: str) -> tuple[Callable, dict]:
    """Build a way and train once: the epoch, and its start-up and memory."""
    held = 0
    if device == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_reserved()
    begin = time.perf_counter()
    epoch = build()
    seconds(epoch, device)
    facts = {"start_seconds": time.perf_counter() - begin}
    if device == "cuda":
        facts["gpu_gigabytes"] = (torch.cuda.max_memory_reserved() - held) / 1e9
    return epoch, facts


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


def measure(name: str, arguments: argparse.Namespace, execution: Execution) -> dict[str, Any]:
    """Compare and time one network: rows of the ways, by name."""
    device = execution.device
    steps = arguments.steps or (STEPS[name] if device == "cuda" else 8)
    data = subject(name, steps, arguments.batch_limit)
    n_samples = len(data.samples.x)
    result: dict[str, Any] = {"batch_size": data.cfg["batch_size"], "steps": steps}
    result["differences"] = differences(data, execution)

    def plain() -> Callable[[], None]:
        network = plain_network(data.network)
        batches = plain_batches(network, data.samples, data.graph, data.cfg["batch_size"])
        return plain_epoch(network, batches, data.cfg["learning_rate"], device)

    epochs, times, ways = {}, {}, {}
    epochs["plain"], ways["plain"] = first_epoch(plain, device)
    for way in ["default", *arguments.also]:
        if way == "channels-first" and data.cfg["kind"] != "cnn":
            continue
        how = replace(execution, **WAYS[way])
        try:
            epochs[way], ways[way] = first_epoch(lambda w=way, h=how: our_epoch(data, w, h), device)
            together = ["plain", way] if way == "default" else [way]
            times.update({one: [] for one in together})
            for _ in range(arguments.rounds):
                for one in together:
                    times[one].append(seconds(epochs[one], device))
        except Exception:
            if way == "default":
                raise
            ways[way] = {"error": traceback.format_exc()[-600:]}
        if way != "default":
            epochs.pop(way, None)
    for way, values in times.items():
        ways[way]["samples_per_second"] = n_samples / statistics.median(values)
    own, plain_rate = ways["default"], ways["plain"]["samples_per_second"]
    result["ratio"] = own["samples_per_second"] / plain_rate
    turns = [b / a for a, b in zip(times["default"], times["plain"], strict=True)]
    result["ratios"] = [round(turn, 3) for turn in sorted(turns)]
    result["minutes"] = TRIALS * EPOCHS / own["samples_per_second"] / 60
    return {**result, "ways": ways}


def measure_ridge(target: str, device: str) -> dict[str, Any]:
    """Time one whole ridge on random data of NSD's size, cross-validation and errors included."""
    samples, _, shapes = synthetic(target, TRAINING_TRIALS)
    few = Samples(samples.x[:100], samples.image[:100], samples.y)
    if device == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    row = decoders.make({"kind": "linear"}, shapes).fit(samples, few, Execution(device=device))[0]
    result = {"fit_seconds": row["seconds"], "minutes": row["seconds"] / 60}
    if device == "cuda":
        result["gpu_gigabytes"] = torch.cuda.max_memory_reserved() / 1e9
    return result


def show(name: str, result: dict[str, Any]) -> None:
    """Print a network's part of the table."""
    plain = result["ways"]["plain"]["samples_per_second"]
    for way, row in result["ways"].items():
        if "error" in row:
            print(f"| {name} | {result['batch_size']} | {way} | failed: {row['error']}", flush=True)
            continue
        rate = row["samples_per_second"]
        cells = [name, result["batch_size"], way, f"{rate:,.1f}", f"{rate / plain:.2f}"]
        cells += [f"{TRIALS * EPOCHS / rate / 60:.1f}", f"{row['start_seconds']:.1f}"]
        cells += [f"{row.get('gpu_gigabytes', math.nan):.1f}"]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--networks", nargs="*", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--also", nargs="+", choices=WAYS, default=[], help="other ways")
    parser.add_argument("--ridge", action="store_true", help="time ridge, a minute of a GPU")
    parser.add_argument("--steps", type=int, default=0, help="of an epoch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-limit", type=int, default=0, help="smaller batches, for a CPU")
    arguments = parser.parse_args()
    execution = plan_execution({"device": arguments.device})
    print("| network | batch | way | samples/s | ratio | min of 100 epochs | start, s | GPU GB |")
    print("|:--|--:|:--|--:|--:|--:|--:|--:|", flush=True)
    results = {}
    for name in arguments.networks:
        results[name] = measure(name, arguments, execution)
        show(name, results[name])
    ridges = {}
    for target in ("image", "text") if arguments.ridge else ():
        ridges[f"{target} linear"] = measure_ridge(target, execution.device)
        print(f"{target} linear: {ridges[f'{target} linear']}", flush=True)
    print(json.dumps(summary(results, ridges, execution.device)), flush=True)


def summary(results: dict, ridges: dict, device: str) -> dict[str, Any]:
    """Everything as one object; rounded, so that it can be read."""
    found = [one["differences"] for one in results.values()]
    cuda = device == "cuda"
    return {
        "ratio": min((round(one["ratio"], 3) for one in results.values()), default=None),
        "equal": all(
            one[name] <= tolerance for one in found for name, tolerance in TOLERANCES.items()
        ),
        "hardware": torch.cuda.get_device_name() if cuda else platform.processor() or "CPU",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "minutes_of_a_subject": sum(one["minutes"] for one in (results | ridges).values()),
        "process_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "networks": results,
        "ridge": ridges,
    }


if __name__ == "__main__":
    main()
