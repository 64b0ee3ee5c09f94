"""Preparing pictures as a protocol says: sizes, interpolation and number range."""

from collections.abc import Sequence

import numpy as np

from afterimage.metrics.protocols import Step

FILTERS = ("nearest", "bilinear", "bicubic", "lanczos")


def needs_torch(steps: Sequence[Step]) -> bool:
    """Whether a step works on tensors."""
    return any(step.kind == "tensor" for step in steps)


def prepare(pictures: Sequence[np.ndarray], steps: Sequence[Step], device: str = "cpu"):
    """Bring pictures to the form in which they are compared.

    Parameters
    ----------
    pictures : uint8 (h, w, 3), sizes may differ
    steps : in order; tensor steps come last

    Returns
    -------
    uint8 array (n, height, width, 3), or after a tensor step a torch float32 tensor in 0..1
    (n, 3, height, width) on `device`
    """
    tensor = [step for step in steps if step.kind == "tensor"]
    prepared = prepare_each(pictures, steps)
    if not tensor:
        return np.stack(prepared)
    # Seen pictures may have any sizes before the first tensor step, so that one goes one by one.
    import torch

    first, *rest = tensor
    batch = torch.cat(
        [_interpolate(as_tensor(picture[None], device), first.size) for picture in prepared]
    )
    for step in rest:
        batch = _interpolate(batch, step.size)
    return batch


def as_tensor(pictures: np.ndarray, device: str):
    """uint8 (n, h, w, 3) as a float32 tensor in 0..1, (n, 3, h, w)."""
    import torch

    tensor = torch.from_numpy(np.array(pictures)).to(device)
    return tensor.permute(0, 3, 1, 2).to(torch.float32).div(255).contiguous()


def _interpolate(batch, size: int):
    import torch

    if tuple(batch.shape[-2:]) == (size, size):
        return batch
    return torch.nn.functional.interpolate(
        batch, size=(size, size), mode="bilinear", align_corners=False, antialias=False
    )


def prepare_each(pictures: Sequence[np.ndarray], steps: Sequence[Step]) -> list[np.ndarray]:
    """Apply the 8 bit steps to each picture; one that has its size already is not copied."""
    prepared = list(pictures)
    for step in steps:
        if step.kind == "crop":
            prepared = [_crop(picture, step.size) for picture in prepared]
        elif step.kind == "resize":
            prepared = [_resize(picture, step) for picture in prepared]
    return prepared


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
    top, left = ((side - size + 1) // 2 for side in picture.shape[:2])
    return picture[top : top + size, left : left + size]
