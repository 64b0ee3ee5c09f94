"""How many floating-point operations a picture takes, and how many a device does at most."""

from collections.abc import Callable
from typing import Any

from benchmarks.true_size import build


def count(network: Any, *inputs: Any) -> int:
    """Floating-point operations of one call, on shapes without values."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*inputs)
    return counter.get_total_flops()


def operations_per_picture(
    size: dict, image_size: int, n_tokens: int, n_samples: int, n_run: int
) -> float:
    """Floating-point operations of one picture, counted on the networks without running them.

    Two UNet passes a step, one decoding at the native size, and a share of the decoding and
    encoding that the samples of an image have in common.
    """
    import torch

    with torch.device("meta"):
        unet, vae = build("unet", size), build("vae", size)
        native, small = size["unet"]["sample_size"], image_size // 8
        latent = torch.empty(1, 4, native, native)
        text = torch.empty(1, n_tokens, size["cross_attention_dim"])
        step = count(unet, latent, torch.empty(1), text)
        last = count(vae.decode, latent)
        first = count(vae.decode, torch.empty(1, 4, small, small))
        again = count(vae.encode, torch.empty(1, 3, 8 * native, 8 * native))
    return 2 * n_run * step + last + (first + again) / n_samples


def matrix_rate(device: str, seconds_of: Callable[[Callable[[], Any], str], float]) -> float:
    """Operations per second of a large matrix product: bfloat16 on a GPU, float32 on a CPU."""
    import torch

    n, repeats, dtype = (8192, 30, torch.bfloat16) if device == "cuda" else (1024, 3, torch.float32)
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    for _ in range(3):
        a @ b

    def products() -> None:
        for _ in range(repeats):
            a @ b

    return 2 * n**3 * repeats / seconds_of(products, device)
