"""Some images at a time, each with all its samples, prepared once for all metrics."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from afterimage.metrics.pictures import Reconstructions, SeenPicture, read_picture
from afterimage.metrics.prepare import as_tensor, needs_torch, prepare, prepare_each
from afterimage.metrics.protocols import Step


@dataclass
class Batch:
    """Images `start`, `start` + 1, ... of a method, with their reconstructions.

    owner : for every reconstruction, the position of its picture in `seen`
    sample : for every reconstruction, its sample number
    """

    start: int
    seen: list[np.ndarray]
    reconstructed: list[np.ndarray]
    owner: np.ndarray
    sample: np.ndarray
    device: str = "cpu"
    _kept: dict = field(default_factory=dict)

    def pictures(self, side: str, steps: tuple[Step, ...]):
        """Pictures of one side, `seen` or `reconstructed`, after these steps (see `prepare`)."""
        if (side, steps) not in self._kept:
            self._kept[side, steps] = prepare(getattr(self, side), steps, self.device)
        return self._kept[side, steps]

    def pixels(self, side: str, steps: tuple[Step, ...]):
        """Pictures for pixel scores.

        Returns
        -------
        on the CPU a list of 8 bit pictures (h, w, 3); on a GPU or after tensor steps a float64
        tensor in 0..1, (n, h, w, 3)
        """
        key = (side, steps, "pixels")
        if key not in self._kept:
            if self.device == "cpu" and not needs_torch(steps):
                self._kept[key] = prepare_each(getattr(self, side), steps)
            else:
                self._kept[key] = self.tensor(side, steps).permute(0, 2, 3, 1).double()
        return self._kept[key]

    def tensor(self, side: str, steps: tuple[Step, ...]):
        """The same as a float32 tensor in 0..1, (n, 3, h, w)."""
        key = (side, steps, "tensor")
        if key not in self._kept:
            prepared = self.pictures(side, steps)
            is_array = isinstance(prepared, np.ndarray)
            self._kept[key] = as_tensor(prepared, self.device) if is_array else prepared
        return self._kept[key]


def seen_batches(
    found: Reconstructions, seen_picture: SeenPicture, size: int, device: str
) -> Iterator[Batch]:
    """The seen pictures alone, `size` at a time, in the order of `found.image_ids`."""
    ids, none = found.image_ids, np.array([], dtype=np.int64)
    for start in range(0, len(ids), size):
        seen = [seen_picture(name) for name in ids[start : start + size]]
        yield Batch(start, seen, [], none, none, device)


def full_batches(
    found: Reconstructions,
    seen_picture: SeenPicture,
    size: int,
    device: str,
    read: Callable[[Path], np.ndarray] = read_picture,
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
        yield Batch(
            start,
            [seen_picture(name) for name in names],
            [
                read(found.files[name][sample])
                for name, numbers in zip(names, samples, strict=True)
                for sample in numbers
            ],
            np.repeat(np.arange(len(names)), [len(numbers) for numbers in samples]),
            np.concatenate([np.array(numbers, dtype=np.int64) for numbers in samples]),
            device,
        )
        start = stop
