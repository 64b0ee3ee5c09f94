"""Pictures per second, beside the way that is usual: one image and one sample at a time.

    python benchmarks/sampling.py             # a GPU: v1.4's true sizes, random weights, float16
    python benchmarks/sampling.py --compile   # with torch.compile (--uncompiled: both)
    python benchmarks/sampling.py --profile   # where the time of one batch goes, by kernel

Ours is the whole of `reconstruct_images` between loaded weights and written files: decode,
enlarge, encode, noise, 40 steps with guidance, decode, PNG. The usual way does the same through
StableDiffusionImg2ImgPipeline. Both run in the same process on the same device. On a machine
without a GPU the demo's architecture stands in, in float32, and the output says so.

The last line is JSON: ratio (pictures per second, ours over theirs), equal (do both ways give the
same latents from the same noise, in float32), hardware, and what else was measured.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.operations import count, matrix_rate, operations_per_picture
from benchmarks.true_size import SIZES, build, random_generator
from benchmarks.usual_way import largest_difference, make_pipeline, theirs

N_TOKENS = 15
SAMPLES = 5


def seconds_of(task: Callable[[], Any], device: str) -> float:
    """Wall time of a task, until the device has finished it."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()
    begin = time.perf_counter()
    task()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def make_painter(generator: Any, size: dict, image_size: int, n_images: int, batch: int) -> Any:
    """Everything for painting n_images x 5 pictures from random predictions."""
    from afterimage.diffusion.batches import Limit, sampling_batch, vae_batch
    from afterimage.diffusion.reconstruction import Painter
    from afterimage.diffusion.requests import Requests
    from afterimage.diffusion.sampling import Schedule

    rng = np.random.default_rng(0)
    side = image_size // generator.files.scale_factor
    width = size["cross_attention_dim"]
    requests = Requests(
        np.array([str(index) for index in range(n_images)]),
        rng.normal(size=(n_images, 4, side, side)).astype(np.float32),
        rng.normal(size=(n_images, N_TOKENS, width)).astype(np.float32),
    )
    empty = rng.normal(size=(N_TOKENS, width)).astype(np.float32)
    return Painter(
        generator,
        requests,
        empty,
        Schedule(),
        seed=0,
        n_samples=SAMPLES,
        resolution=512,
        sampling=Limit(sampling_batch(generator, N_TOKENS, batch)),
        vae=Limit(vae_batch(generator, generator.files.native_size)),
    )


def ours(painter: Any) -> None:
    """Paint everything, to files."""
    from afterimage.diffusion.reconstruction import paint_shard
    from afterimage.diffusion.resumable import State

    with tempfile.TemporaryDirectory() as folder:
        state = State(Path(folder) / "state", "inputs", {"batch_size": painter.sampling.size})
        for _ in paint_shard(painter, state, workers=4):
            pass


def encoding_rates(generator: Any, size: dict, image_size: int, n: int) -> dict[str, Any]:
    """Pictures encoded per second, in batches and one at a time, with operations and memory."""
    import torch

    from afterimage.diffusion.batches import Limit, vae_batch
    from afterimage.diffusion.encoding import encode_pictures

    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (n, image_size, image_size, 3)).astype(np.uint8)
    with torch.device("meta"):
        operations = count(build("vae", size).encode, torch.empty(1, 3, image_size, image_size))
    on_gpu = generator.device == "cuda"
    rates: dict[str, Any] = {}
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    for name, batch in (("batched", vae_batch(generator, image_size)), ("one_at_a_time", 1)):
        few = pictures if name == "batched" else pictures[: max(2, n // 4)]

        def encode(few: np.ndarray = few, batch: int = batch) -> None:
            parts = Limit(batch).run(lambda part: encode_pictures(generator, few[part]), len(few))
            for part in parts:
                part.cpu()

        encode()
        rates[name] = len(few) / seconds_of(encode, generator.device)
    peak = torch.cuda.max_memory_allocated() if on_gpu else None
    return rates | {"tflops": rates["batched"] * operations / 1e12, "peak_gpu_bytes": peak}


def profile(painter: Any) -> None:
    """Print the kernels that one batch spends its time in."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    on_gpu = painter.generator.device == "cuda"
    kinds = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_gpu
    batch = painter.members[: painter.sampling.size]
    with record(activities=kinds) as found:
        seconds_of(lambda: painter.paint(batch), painter.generator.device)
    order = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    print(found.key_averages().table(sort_by=order, row_limit=25))


def throughput(arguments: argparse.Namespace, device: str) -> dict[str, Any]:
    """Pictures per second of both ways, and what the device can do at most."""
    import torch

    on_gpu = device == "cuda"
    size, image_size = (SIZES["true"], 320) if on_gpu else (SIZES["small"], 80)
    n_images = arguments.images or (18 if on_gpu else 8)
    generator = random_generator(size, device, "auto")
    plain = None
    if arguments.compile and on_gpu:
        from afterimage.diffusion.model import compile_networks

        if arguments.uncompiled:
            painter = make_painter(generator, size, image_size, n_images // 2, arguments.batch)
            painter.paint(painter.members[: painter.sampling.size])
            plain = len(painter.members) / seconds_of(lambda: ours(painter), device)
        compile_networks(generator)
    # The usual way gets networks of its own: not compiled, in PyTorch's usual layout.
    pipeline = make_pipeline(random_generator(size, device, "auto"))
    begin = time.perf_counter()
    painter = make_painter(generator, size, image_size, n_images, arguments.batch)
    painter.paint(painter.members[: painter.sampling.size])
    started = time.perf_counter() - begin
    print(f"first batch of {painter.sampling.size} after {started:.0f} s", flush=True)
    theirs(painter, pipeline, 1)
    n_theirs = min(len(painter.members), 4 if on_gpu else 8)
    # The usual way is timed before and after ours, so that a busy machine slows both.
    slow = seconds_of(lambda: theirs(painter, pipeline, n_theirs), device)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    fast = len(painter.members) / seconds_of(lambda: ours(painter), device)
    peak = torch.cuda.max_memory_allocated() if on_gpu else None
    slow += seconds_of(lambda: theirs(painter, pipeline, n_theirs), device)
    print(f"{fast:.3f} pictures per second, usually {2 * n_theirs / slow:.3f}", flush=True)
    if arguments.profile:
        profile(painter)
    rate = matrix_rate(device, seconds_of)
    achieved = fast * operations_per_picture(
        size, image_size, N_TOKENS, SAMPLES, painter.schedule.n_run
    )
    return {
        "ratio": round(fast * slow / (2 * n_theirs), 2),
        "pictures_per_second": fast,
        "pictures_per_second_one_at_a_time": 2 * n_theirs / slow,
        "batch": painter.sampling.size,
        "pictures_per_second_uncompiled": plain,
        "first_batch_seconds": started,
        "tflops": achieved / 1e12,
        "matrix_tflops": rate / 1e12,
        "share_of_matrix_rate": achieved / rate,
        "share_one_at_a_time": achieved / rate / fast * 2 * n_theirs / slow,
        "peak_gpu_bytes": peak,
        "encoded_per_second": encoding_rates(generator, size, image_size, 256 if on_gpu else 64),
    }


def measure(arguments: argparse.Namespace, device: str) -> dict[str, Any]:
    """All figures of one run."""
    from afterimage.jobs import keep_float32

    on_gpu = device == "cuda"
    found = throughput(arguments, device)
    size, image_size = (SIZES["true"], 320) if on_gpu else (SIZES["small"], 80)
    keep_float32(device)
    single = random_generator(size, device, "float32")
    if on_gpu:
        found["encoded_per_second_float32"] = encoding_rates(single, size, image_size, 64)
    painter = make_painter(single, size, image_size, 2, 2)
    difference = largest_difference(painter, make_pipeline(single))
    return {
        "equal": difference < 1e-3,
        "hardware": hardware(device),
        "model": "v1.4's sizes" if on_gpu else "the demo's sizes (no GPU here)",
        "precision": "float16" if on_gpu else "float32",
        "largest_relative_difference": difference,
        **found,
    }


def hardware(device: str) -> str:
    """What it ran on."""
    import torch

    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"CPU {platform.machine()}, {torch.get_num_threads()} threads"


def report(found: dict[str, Any]) -> None:
    """Print a table for people, then one line of JSON for programs."""
    rows = [
        ("hardware", found["hardware"]),
        ("model", f"random weights, {found['model']}, {found['precision']}"),
        ("pictures per second", f"{found['pictures_per_second']:.3f}, {found['batch']} at a time"),
        ("first batch", f"{found['first_batch_seconds']:.0f} s, what it sets up included"),
        (
            "one at a time",
            f"{found['pictures_per_second_one_at_a_time']:.3f} (diffusers' pipeline)",
        ),
        ("ratio", f"{found['ratio']:.2f}"),
        ("TFLOP/s", f"{found['tflops']:.3f} of {found['matrix_tflops']:.3f} in a matrix product"),
        (
            "share",
            f"{found['share_of_matrix_rate']:.0%}, "
            f"one at a time {found['share_one_at_a_time']:.0%}",
        ),
        ("same latents", f"to {found['largest_relative_difference']:.1e} of their size, float32"),
    ]
    for key in ("encoded_per_second", "encoded_per_second_float32"):
        if key in found:
            rates = found[key]
            value = f"{rates['batched']:.1f}, one at a time {rates['one_at_a_time']:.1f}"
            rows.append((key.replace("_", " "), f"{value}, {rates['tflops']:.1f} TFLOP/s"))
    if found["pictures_per_second_uncompiled"]:
        rows.insert(3, ("not compiled", f"{found['pictures_per_second_uncompiled']:.3f}"))
    if found["peak_gpu_bytes"]:
        rows.append(("peak GPU memory", f"{found['peak_gpu_bytes'] / 2**30:.1f} GiB"))
    for name, value in rows:
        print(f"{name:28} {value}")
    print(json.dumps(found))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Pictures per second, ours and the usual way")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--images", type=int, default=0, help="images, 5 pictures each (0: enough)")
    parser.add_argument("--batch", type=int, default=0, help="pictures at a time (0: found)")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--uncompiled", action="store_true", help="beside --compile, both")
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    from afterimage.compat import ensure_torchvision
    from afterimage.jobs import choose_device

    ensure_torchvision()
    report(measure(arguments, choose_device(arguments.device)))


if __name__ == "__main__":
    main()
