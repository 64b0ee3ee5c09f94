"""Make one shard's pictures in batches with fixed members, and keep those that are finished.

While the device samples a batch, threads enlarge and write the pictures of the one before: a batch
is kept as soon as its files are ready, not when the next one is.
"""

import shutil
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from afterimage.diffusion.batches import Limit, divide, together
from afterimage.diffusion.encoding import decode_latents, encode_pictures, resize
from afterimage.diffusion.model import Generator
from afterimage.diffusion.noise import noise_source
from afterimage.diffusion.requests import Requests
from afterimage.diffusion.resumable import State
from afterimage.diffusion.sampling import Schedule, denoise
from afterimage.libraries import library_versions
from afterimage.stores import read_json, whole, write_json

if TYPE_CHECKING:
    import torch

AHEAD = 2  # batches whose pictures may wait to be written


def file_name(image_id: str, sample: int) -> str:
    """Name of one picture's file."""
    return f"{image_id}_{sample}.png"


@dataclass
class Painter:
    """Everything that making pictures needs, apart from which pictures.

    Attributes
    ----------
    empty : embedding (tokens, width) of the empty text
    resolution : side in pixels of the files; the model works at its native size
    sampling, vae : how many rows the UNet (twice as many with guidance) and the VAE take at once
    """

    generator: Generator
    requests: Requests
    empty: np.ndarray
    schedule: Schedule
    seed: int
    n_samples: int
    resolution: int
    sampling: Limit
    vae: Limit

    @property
    def members(self) -> list[tuple[int, int]]:
        """(row, sample) of every picture of the shard, images in order, samples within."""
        rows = range(len(self.requests.image_id))
        return [(row, sample) for row in rows for sample in range(self.n_samples)]

    def unfinished(self, state: State) -> int:
        """How many pictures `state` does not hold yet."""
        batches = divide(len(self.members), state.settings["batch_size"])
        return sum(
            rows.stop - rows.start
            for index, rows in enumerate(batches)
            if not state.finished(index)
        )

    def paint(self, members: list[tuple[int, int]]) -> "torch.Tensor":
        """Pictures of one batch at the native size, uint8 (n, side, side, 3), on the device."""
        import torch

        requests, generator = self.requests, self.generator
        rows = sorted({row for row, _ in members})
        where = torch.tensor([rows.index(row) for row, _ in members], device=generator.device)
        start = None
        if requests.z is not None:
            start = self.starting_latents(requests.z[rows])[where]
        context = None
        if requests.c is not None:
            context = torch.from_numpy(requests.c[[row for row, _ in members]])
        empty = torch.from_numpy(self.empty)

        def sample(part: slice) -> "torch.Tensor":
            sources = [
                noise_source(self.seed, str(requests.image_id[row]), sample)
                for row, sample in members[part]
            ]
            return denoise(
                generator,
                None if start is None else start[part],
                None if context is None else context[part],
                empty,
                sources,
                self.schedule,
            )

        latents = together(self.sampling.run(sample, len(members)))
        decode = self.vae.run(lambda part: decode_latents(generator, latents[part]), len(latents))
        return together(decode)

    def starting_latents(self, z: np.ndarray) -> "torch.Tensor":
        """Predicted latents decoded, resized to the native size (bicubic) and encoded again."""
        import torch

        generator, size = self.generator, self.generator.files.native_size
        latents = torch.from_numpy(z)
        small = self.vae.run(lambda part: decode_latents(generator, latents[part]).cpu(), len(z))
        pictures = np.stack([resize(p, size, "bicubic") for p in together(small).numpy()])
        return together(
            self.vae.run(lambda part: encode_pictures(generator, pictures[part]), len(pictures))
        )


def paint_shard(painter: Painter, state: State, workers: int) -> Iterator[int]:
    """Make every batch that `state` has not finished; yields each one's number of pictures.

    Parameters
    ----------
    state : its settings hold `batch_size`; each of its portions becomes a folder of PNG files
    workers : threads that write pictures
    """
    members = painter.members
    batches = divide(len(members), state.settings["batch_size"])
    clock = _Clock()
    waiting: deque[Future[int]] = deque()
    # Leaving the pools waits for their work: what was painted before a fault is kept.
    with ThreadPoolExecutor(1) as placing, ThreadPoolExecutor(max(1, workers)) as encoding:
        for index, rows in enumerate(batches):
            if state.finished(index):
                continue
            batch = members[rows]
            arrived = _to_host(painter.paint(batch))
            files = {
                file_name(str(painter.requests.image_id[row]), sample): encoding.submit(
                    _encode, arrived, place, painter.resolution
                )
                for place, (row, sample) in enumerate(batch)
            }
            waiting.append(placing.submit(_place, state.portion(index), files, clock))
            while len(waiting) > AHEAD or (waiting and waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class _Clock:
    """Seconds since it was last asked, or made."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def lap(self) -> float:
        before, self.last = self.last, time.monotonic()
        return self.last - before


def _encode(arrived: Any, place: int, resolution: int) -> bytes:
    return encode_png(resize(arrived()[place], resolution, "lanczos"))


def _place(folder: Path, files: "dict[str, Future[bytes]]", clock: _Clock) -> int:
    """Wait for a batch's files, put the whole batch in its place, note the seconds it took."""
    with whole(folder) as temporary:
        temporary.mkdir()
        for name, data in files.items():
            (temporary / name).write_bytes(data.result())
        write_json(temporary / "batch.json", {"seconds": clock.lap()})
    return len(files)


def _to_host(pictures: "torch.Tensor") -> Any:
    """Start the copy to the host now; the function that is returned waits for it alone."""
    import torch

    if pictures.device.type != "cuda":
        return lambda: pictures.numpy()
    host = torch.empty(pictures.shape, dtype=pictures.dtype, pin_memory=True)
    host.copy_(pictures, non_blocking=True)
    copied = torch.cuda.Event()
    copied.record()

    def arrived() -> np.ndarray:
        copied.synchronize()
        return host.numpy()

    return arrived


def encode_png(picture: np.ndarray) -> bytes:
    """PNG of a uint8 picture (h, w, 3), without metadata: equal pictures, equal bytes.

    The lowest compression costs a fifth more disk and a quarter of the time of the usual one.
    """
    from io import BytesIO

    from PIL import Image

    stream = BytesIO()
    Image.fromarray(picture).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def gather(painter: Painter, state: State, out: Path, sidecar: dict[str, Any]) -> None:
    """Move the finished batches into the shard's folder, with its manifest and sidecar."""
    import pandas as pd

    from afterimage.diffusion.noise import noise_seed
    from afterimage.stores import write_table

    members = painter.members
    batches = divide(len(members), state.settings["batch_size"])
    native = painter.generator.files.native_size
    seconds = 0.0
    with whole(out) as temporary:
        temporary.mkdir()
        for index in range(len(batches)):
            portion = state.portion(index)
            seconds += read_json(portion / "batch.json")["seconds"]
            for picture in sorted(portion.glob("*.png")):
                _link(picture, temporary / picture.name)
        rows = [
            {
                "image_id": str(painter.requests.image_id[row]),
                "sample": sample,
                "file": file_name(str(painter.requests.image_id[row]), sample),
                "native_size": native,
                "resolution": painter.resolution,
                "enlarged": "lanczos" if native != painter.resolution else "no",
                "seed": painter.seed,
                "noise_seed": noise_seed(painter.seed, painter.requests.image_id[row], sample),
            }
            for row, sample in members
        ]
        write_table(temporary / "manifest.csv", pd.DataFrame(rows, columns=MANIFEST))
        speed = len(members) / seconds if seconds else None
        write_json(
            temporary / "sidecar.json",
            {
                "seconds": seconds,
                "pictures": len(members),
                "pictures_per_second": speed,
                "batches": len(batches),
                "batch_size": state.settings["batch_size"],
                "largest_batch_that_fitted": painter.sampling.size,
                **sidecar,
                "versions": library_versions(),
            },
        )
    state.close()


def _link(source: Path, target: Path) -> None:
    """Give a finished file a second name: the portion must stay whole until the shard is."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


MANIFEST = [
    "image_id",
    "sample",
    "file",
    "native_size",
    "resolution",
    "enlarged",
    "seed",
    "noise_seed",
]
