"""Preparing pictures as a protocol says: sizes, interpolation and number range."""

from collections.abc import Sequence

import numpy as np

from afterimage.jobs import Each
from afterimage.metrics.protocols import Step


def needs_torch(steps: Sequence[Step]) -> bool:
    """Whether a step works on tensors."""
    return any(step.kind == "tensor" for step in steps)


def eight_bit_steps(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps before the first one on tensors."""
    return tuple(step for step in steps if step.kind != "tensor")


def as_tensor(pictures: Sequence[np.ndarray], device: str, each: Each = map):
    """uint8 pictures (h, w, 3) as one uint8 tensor (n, h, w, 3).

    For a GPU they are gathered in page-locked memory, from which the copy runs by itself.
    """
    import torch

    shape = (len(pictures), *pictures[0].shape)
    host = torch.empty(shape, dtype=torch.uint8, pin_memory=device == "cuda")
    for _ in each(np.copyto, host.numpy(), pictures):
        pass
    return host.to(device, non_blocking=True)


def as_floats(pictures):
    """A uint8 tensor (n, h, w, 3) as float32 in 0..1, (n, 3, h, w), channels last in memory."""
    import torch

    return pictures.permute(0, 3, 1, 2).to(torch.float32).div_(255)


def interpolated(pictures: Sequence[np.ndarray], steps: Sequence[Step], device: str):
    """uint8 pictures (h, w, 3) of any sizes after the tensor steps, float32 (n, 3, height, width).

    The sizes may differ before the first step, so that one goes picture by picture.
    """
    import torch

    first, *rest = (step for step in steps if step.kind == "tensor")
    batch = torch.cat(
        [
            _interpolate(as_floats(as_tensor([picture], device)).contiguous(), first.size)
            for picture in pictures
        ]
    )
    for step in rest:
        batch = _interpolate(batch, step.size)
    return batch


def _interpolate(batch, size: int):
    import torch

    if tuple(batch.shape[-2:]) == (size, size):
        return batch
    return torch.nn.functional.interpolate(
        batch, size=(size, size), mode="bilinear", align_corners=False, antialias=False
    )


def prepare_each(
    pictures: Sequence[np.ndarray], steps: Sequence[Step], each: Each = map
) -> list[np.ndarray]:
    """Apply the 8 bit steps to each picture; one that has its size already is not copied.

    Parameters
    ----------
    pictures : uint8 (h, w, 3), sizes may differ
    each : `map`, or a pool's
    """
    wanted = eight_bit_steps(steps)
    return (
        list(each(lambda picture: _prepared(picture, wanted), pictures)) if wanted else [*pictures]
    )


def _prepared(picture: np.ndarray, steps: Sequence[Step]) -> np.ndarray:
    for step in steps:
        picture = _crop(picture, step.size) if step.kind == "crop" else _resize(picture, step)
    return picture


def _resize(picture: np.ndarray, step: Step) -> np.ndarray:
    from PIL import Image

    height, width = picture.shape[:2]
    if step.side == "shorter":
        shorter = min(height, width)
        height, width = (int(step.size * side / shorter) for side in (height, width))
    else:
        height = width = step.size
    if picture.shape[:2] == (height, width):
        return picture
    resample = Image.Resampling[step.filter.upper()]
    return np.asarray(Image.fromarray(picture).resize((width, height), resample))


def _crop(picture: np.ndarray, size: int) -> np.ndarray:
    # Rounded to even, as torchvision's centre crop does.
    top, left = (round((side - size) / 2) for side in picture.shape[:2])
    return picture[top : top + size, left : left + size]
