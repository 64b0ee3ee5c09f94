"""Ways to damage the pictures of `raw_files`."""

from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from tests import raw_files


def rewrite_stimuli(change):
    def damage(path: Path) -> None:
        with h5py.File(path) as file:
            bricks = file["imgBrick"][:]
        with h5py.File(path, "w") as file:
            file["imgBrick"] = change(bricks)

    return damage


def zero_picture(number: int):
    def change(bricks: np.ndarray) -> np.ndarray:
        bricks[number] = 0
        return bricks

    return rewrite_stimuli(change)


def write_pictures(*numbers, **options):
    """Write some of the pictures, and of the others nothing."""

    def damage(path: Path) -> None:
        with h5py.File(path) as file:
            bricks = file["imgBrick"][:]
        with h5py.File(path, "w") as file:
            empty = file.create_dataset("imgBrick", bricks.shape, "uint8", **options)
            for number in numbers:
                empty[number] = bricks[number]

    return damage


def group_of_pictures(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("imgBrick")["0"] = raw_files.picture(0)


def large_picture(change):
    """A JPEG of some kilobytes, and a change of its bytes."""

    def damage(path: Path) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path, quality=95)
        path.write_bytes(change(path.read_bytes()))

    return damage


def zeros_inside(content: bytes) -> bytes:
    third = len(content) // 3
    return content[:third] + bytes(third) + content[2 * third :]


def zeros_at_the_end(content: bytes) -> bytes:
    half = len(content) // 2
    return content[:half] + bytes(len(content) - half)


def one_colour(path: Path) -> None:
    Image.new("RGB", (8, 8), (128, 128, 128)).save(path)


def far_too_large(path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(path, format="PNG")
