"""Every picture's own noise: fixed by the seed, the image and the sample, and by nothing else.

The method, the batch, the shard and the order have no part in it, so that methods differ by their
predictions alone and a rerun in other portions makes the same pictures.
"""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def noise_seed(seed: int, image_id: str, sample: int | str) -> int:
    """A 32-bit seed (torch's generator for the CPU uses no more bits than that)."""
    text = f"{seed}\n{image_id}\n{sample}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def noise_source(seed: int, image_id: str, sample: int | str) -> "torch.Generator":
    """The random generator of one picture, on the CPU whatever the device."""
    import torch

    return torch.Generator("cpu").manual_seed(noise_seed(seed, image_id, sample))


def draw(sources: "list[torch.Generator]", shape: tuple[int, ...]) -> "torch.Tensor":
    """Standard normal noise, float32 (sources, *shape), each row from its own source."""
    import torch

    return torch.stack([torch.randn(shape, generator=source) for source in sources])
