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
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from afterimage import decoders
from afterimage.decoders import training
from afterimage.decoders.interface import Execution, Samples
from afterimage.decoders.running import plan_execution
from afterimage.decoders.steps import Resident, convolutions, make_step
from benchmarks.nsd_networks import (
    EPOCHS,
    NETWORKS,
    TOLERANCES,
    TRAINING_TRIALS,
    TRIALS,
    Subject,
    differences,
    subject,
    synthetic,
)
from benchmarks.plain_training import (
    PlainConvolutions,
    plain_batches,
    plain_epoch,
    plain_network,
)

STEPS = {"text cnn": 64, "image cnn": 10, "image vae": 20, "image gcn": 30}
"""Of an epoch on a GPU, about a third of a second of the plain way; 8 on a CPU."""

WAYS: dict[str, dict[str, bool]] = {
    "default": {},
    "eager": {"record": False, "compile": False},
    "record": {"compile": False},
    "compile": {"record": False},
    "float32": {"half": False},
    "channels-first": {"compile": False},
}
"""How the package's own loop is computed; the last one has PyTorch's layout of convolutions."""

OF_CNNS = ("compile", "record", "channels-first")
"""Ways that differ for them alone: other networks are not compiled."""


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
        if way in OF_CNNS and data.cfg["kind"] != "cnn":
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
    # As config/nsd.yaml has it.
    execution = plan_execution({"device": arguments.device, "compile": True})
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
