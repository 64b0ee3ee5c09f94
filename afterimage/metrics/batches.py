"""Some images at a time, each with all its samples, prepared once for all metrics."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np

from afterimage.jobs import Each
from afterimage.metrics.pictures import Reconstructions, SeenPicture, read_picture
from afterimage.metrics.prepare import (
    as_floats,
    as_tensor,
    eight_bit_steps,
    interpolated,
    needs_torch,
    prepare_each,
)
from afterimage.metrics.protocols import Metric, Step


def _kept(method: Callable) -> Callable:
    """Compute once for each side and its steps."""

    @wraps(method)
    def once(batch: "Batch", side: str, steps: tuple[Step, ...]) -> Any:
        key = (method.__name__, side, steps)
        if key not in batch.kept:
            batch.kept[key] = method(batch, side, steps)
        return batch.kept[key]

    return once


@dataclass
class Batch:
    """Images `start`, `start` + 1, ... of a method, with their reconstructions.

    owner : for every reconstruction, the position of its picture in `seen`
    sample : for every reconstruction, its sample number
    each : `map` or a pool's, for work on single pictures
    """

    start: int
    seen: list[np.ndarray]
    reconstructed: list[np.ndarray]
    owner: np.ndarray
    sample: np.ndarray
    device: str = "cpu"
    each: Each = map
    kept: dict = field(default_factory=dict, repr=False)

    @_kept
    def pixels(self, side: str, steps: tuple[Step, ...]):
        """Pictures of one side, `seen` or `reconstructed`, for pixel scores.

        Returns
        -------
        on the CPU a list of 8 bit pictures (h, w, 3); on a GPU or after tensor steps a float64
        tensor in 0..1, (n, h, w, 3)
        """
        if needs_torch(steps):
            return self.tensor(side, steps).permute(0, 2, 3, 1).double()
        if self.device == "cpu":
            return self.eight_bit(side, steps)
        return self.on_device(side, steps).double().div_(255)

    @_kept
    def tensor(self, side: str, steps: tuple[Step, ...]):
        """The same as a float32 tensor in 0..1, (n, 3, h, w)."""
        if needs_torch(steps):
            pictures = self.eight_bit(side, eight_bit_steps(steps))
            return interpolated(pictures, steps, self.device)
        return as_floats(self.on_device(side, steps))

    @_kept
    def eight_bit(self, side: str, steps: tuple[Step, ...]):
        """The same after steps on 8 bit pictures alone, a list of uint8 (h, w, 3)."""
        return prepare_each(getattr(self, side), steps, self.each)

    @_kept
    def on_device(self, side: str, steps: tuple[Step, ...]):
        """The same as a uint8 tensor (n, h, w, 3)."""
        return as_tensor(self.eight_bit(side, steps), self.device, self.each)

    def ready(self, metrics: Iterable[Metric]) -> "Batch":
        """Do what the processor can do for a GPU's batch before the GPU is free for it."""
        for metric in metrics:
            for side, steps in (("seen", metric.seen), ("reconstructed", metric.reconstruction)):
                if getattr(self, side) and not needs_torch(steps):
                    self.on_device(side, steps)
        return self


def seen_batches(
    found: Reconstructions, seen_picture: SeenPicture, size: int, device: str, each: Each = map
) -> Iterator[Batch]:
    """The seen pictures alone, `size` at a time, in the order of `found.image_ids`."""
    ids, none = found.image_ids, np.array([], dtype=np.int64)
    for start in range(0, len(ids), size):
        seen = [seen_picture(name) for name in ids[start : start + size]]
        yield Batch(start, seen, [], none, none, device, each)


def full_batches(
    found: Reconstructions,
    seen_picture: SeenPicture,
    size: int,
    device: str,
    read: Callable[[Path], np.ndarray] = read_picture,
    each: Each = map,
) -> Iterator[Batch]:
    """Images with all their samples, about `size` reconstructions at a time."""
    ids, start = found.image_ids, 0
    while start < len(ids):
        stop, pictures = start + 1, len(found.files[ids[start]])
        while stop < len(ids) and pictures + len(found.files[ids[stop]]) <= size:
            pictures += len(found.files[ids[stop]])
            stop += 1
        names = ids[start:stop]
        samples = [sorted(found.files[name]) for name in names]
        files = [
            found.files[name][sample]
            for name, numbers in zip(names, samples, strict=True)
            for sample in numbers
        ]
        yield Batch(
            start,
            [seen_picture(name) for name in names],
            list(each(read, files)),
            np.repeat(np.arange(len(names)), [len(numbers) for numbers in samples]),
            np.concatenate([np.array(numbers, dtype=np.int64) for numbers in samples]),
            device,
            each,
        )
        start = stop
