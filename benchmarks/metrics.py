"""Scoring reconstructions, beside per-image loops with scikit-image, lpips and torchvision.

    python benchmarks/metrics.py                          # 200 pictures x 5 samples at 512 pixels
    python benchmarks/metrics.py --pictures 8 --threads 1 # the same per picture, sooner on a CPU
    python benchmarks/metrics.py --loop-pictures 20       # the loops over 20 pictures, scaled up

Both ways score the same pictures, held in memory, with the same weights (random ones of the true
architectures; the LPIPS heads are the real ones) and their values are compared. The loops are what
notebooks do: `np.corrcoef` and `structural_similarity` per pair, `lpips.LPIPS` per pair, a feature
extractor per picture (seen pictures once), `np.corrcoef` over all features for identification. On a
GPU the loops' networks run there too, with PyTorch's rounding of convolutions, which this project
turns off, and PCC and SSIM on the processor. `--loop-pictures` shortens the
loops, whose time is proportional to the pictures; identification is always looped in full, since
each of its values needs every picture. This project's way is always measured in full: each group of
metrics alone, and at last all of them in one pass, as the workflow scores.

The last line is JSON: seconds of both ways and their ratio (theirs over ours) per group of metrics
and `together`, the largest difference of any value, hardware. On a CPU they are seconds of
processor time, which other work on the machine does not change; on a GPU, of the clock.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

GROUPS = {
    "pixels": ("pcc", "ssim"),
    "lpips": ("lpips_alex",),
    "alexnet": ("alexnet2", "alexnet5"),
    "efficientnet": ("efficientnet_v2_s",),
}
SIDE = 512  # the report's protocol resizes to it, which the loops leave out
# Networks add in another order; half of float32's digits are far more than a table shows. On a GPU
# the loops' convolutions round their factors to TensorFloat-32, as PyTorch does unless told not to.
TOLERANCE = {"cpu": 1e-5, "cuda": 2e-4}


def random_networks(device: str) -> tuple[Any, Any]:
    """AlexNet and EfficientNetV2-S with random weights, as torchvision builds them."""
    import torch
    from torchvision import models

    torch.manual_seed(0)
    built = models.alexnet(weights=None), models.efficientnet_v2_s(weights=None)
    return tuple(network.eval().to(device) for network in built)  # type: ignore[return-value]


def protocols_of(groups: list[str]) -> list[Any]:
    """The metrics of some groups, each as the first protocol that has it defines it."""
    from dataclasses import replace

    from afterimage.metrics.protocols import load_protocols

    left = {name for group in groups for name in GROUPS[group]}
    chosen = []
    for protocol in load_protocols(["report", "brain-diffuser"]):
        metrics = tuple(metric for metric in protocol.metrics if metric.name in left)
        left -= {metric.name for metric in metrics}
        chosen += [replace(protocol, metrics=metrics)] if metrics else []
    return chosen


def score(
    seen: dict, made: dict, groups: list[str], networks: Any, batch_size: int, threads: int
) -> dict:
    """Some groups' metrics through `score_method`, in full float32 as the workflow has it."""
    import torch

    from afterimage.metrics.pictures import Reconstructions
    from afterimage.metrics.scoring import score_method

    files: dict = {}
    for name, sample in made:
        files.setdefault(name, {})[sample] = Path(f"{name}_{sample}")

    def read(path: Path) -> Any:
        name, sample = path.name.rsplit("_", 1)
        return made[name, int(sample)]

    protocols = protocols_of(groups)
    torch.backends.cudnn.allow_tf32 = False
    rows = score_method(
        Reconstructions(files), seen.__getitem__, protocols, networks, batch_size, read, threads
    )
    torch.backends.cudnn.allow_tf32 = True  # PyTorch's default, as the loops have it
    assert not any(reason for *_, reason in rows)
    return {(metric, name, sample): value for name, sample, _, metric, value, _ in rows}


def our_networks(device: str, alexnet: Any, efficientnet: Any) -> Any:
    """The same weights behind this project's interface."""
    import torch

    from afterimage.metrics.perceptual import build_lpips, build_network
    from afterimage.metrics.scoring import Networks
    from afterimage.metrics.weights import lpips_heads

    tensors = alexnet.state_dict()
    heads = {name: torch.from_numpy(head) for name, head in lpips_heads().items()}
    built = {
        "alexnet": build_network("alexnet", tensors),
        "efficientnet_v2_s": build_network("efficientnet_v2_s", efficientnet.state_dict()),
    }
    features = {name: network.to(device) for name, network in built.items()}
    return Networks(features, build_lpips({**tensors, **heads}).to(device), {}, device)


def timed(work: Callable[[], dict], device: str) -> tuple[float, dict]:
    """Seconds of the clock on a GPU, of processor time on a CPU, and the values."""
    import torch

    if device == "cpu":
        begin = time.process_time()
        found = work()
        return time.process_time() - begin, found
    torch.cuda.synchronize()
    begin = time.perf_counter()
    found = work()
    torch.cuda.synchronize()
    return time.perf_counter() - begin, found


def arguments() -> argparse.Namespace:
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--loop-pictures", type=int, default=0, help="0: all of them")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=0, help="0: as many as there are cores")
    parser.add_argument("--batch-size", type=int, default=0)
    parser.add_argument("--groups", nargs="*", default=list(GROUPS), choices=list(GROUPS))
    return parser.parse_args()


def main() -> None:
    """Time both ways, group by group and together, and compare their values."""
    asked = arguments()
    threads = asked.threads or len(os.sched_getaffinity(0))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)

    from afterimage.compat import ensure_torchvision
    from afterimage.jobs import choose_device

    ensure_torchvision()
    import torch
    import usual_metrics as usual

    torch.set_num_threads(threads)
    device = choose_device(asked.device)
    alexnet, efficientnet = random_networks(device)
    ours = {
        "networks": our_networks(device, alexnet, efficientnet),
        "batch_size": asked.batch_size or (64 if device == "cuda" else 8),
        "threads": threads,
    }
    lpips = usual.lpips_network(device, alexnet) if "lpips" in asked.groups else None
    loops: dict[str, Callable[[dict, dict], dict]] = {
        "pixels": usual.loop_pixels,
        "lpips": partial(usual.loop_lpips, device=device, network=lpips),
        "alexnet": partial(usual.loop_alexnet, device=device, alexnet=alexnet),
        "efficientnet": partial(usual.loop_efficientnet, device=device, efficientnet=efficientnet),
    }
    seen, made = usual.make_pictures(asked.pictures, asked.samples, SIDE)

    def pick(n: int) -> tuple[dict, dict]:
        some = dict(list(seen.items())[:n])
        return some, {key: picture for key, picture in made.items() if key[0] in some}

    few = pick(asked.loop_pictures or asked.pictures)
    # Before the clock starts: three pictures in the loops, of which each step is one picture; here
    # one whole batch, and on a GPU all batches, as each size finds its kernels and memory first.
    batch = max(3, ours["batch_size"] // asked.samples + 1)
    few_more = pick(asked.pictures if device == "cuda" else batch)

    result: dict[str, Any] = {}
    for group in asked.groups:
        whole = group == "alexnet"
        looped = (seen, made) if whole else few
        loops[group](*pick(3))
        theirs, expected = timed(partial(loops[group], *looped), device)
        theirs *= len(seen) / len(looped[0])
        score(*few_more, [group], **ours)
        seconds, found = timed(partial(score, seen, made, [group], **ours), device)
        result[group] = compare(theirs, seconds, expected, found)
        print(group, result[group], flush=True)
    total = sum(group["loops_s"] for group in result.values())
    seconds, _ = timed(partial(score, seen, made, asked.groups, **ours), device)
    result["together"] = compare(total, seconds, {}, {})
    print("together", result["together"], flush=True)

    differences = [group["largest_difference"] for group in result.values()]
    on_cpu = f"CPU {platform.machine()}, {threads} threads"
    summary = {
        "ratio": result["together"]["ratio"],
        "equal": max(differences) < TOLERANCE[device],
        "tolerance": TOLERANCE[device],
        "groups": result,
        "pictures": asked.pictures,
        "samples": asked.samples,
        "side": SIDE,
        "loops_measured_on": f"{len(few[0])} pictures, scaled; identification in full",
        "weights": "random, of the true architectures; real LPIPS heads",
        "device": device,
        "threads": threads,
        "batch_size": ours["batch_size"],
        "hardware": torch.cuda.get_device_name() if device == "cuda" else on_cpu,
    }
    print(json.dumps(summary))


def compare(theirs: float, ours: float, expected: dict, found: dict) -> dict[str, float]:
    """Seconds, their ratio and the largest difference of the values that both ways have."""
    return {
        "loops_s": round(theirs, 3),
        "ours_s": round(ours, 3),
        "ratio": round(theirs / ours, 2),
        "largest_difference": max(
            (abs(float(found[key]) - float(expected[key])) for key in expected), default=0.0
        ),
    }


if __name__ == "__main__":
    main()
