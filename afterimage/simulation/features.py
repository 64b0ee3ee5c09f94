"""What the simulated brain can see of a scene: its local image structure and its meaning.

Both are non-negative numbers of about unit range. The image features come from the drawn picture
alone, the meaning features from the scene alone, so that neither can leak into the other.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from afterimage.simulation.scenes import COLOURS, KINDS, PLACES, Scene, draw

GRID = 10
"""Cells along each side of the picture: one 10 by 10 map per channel."""

CHANNELS = ("luminance", "red", "green", "blue", "yellow", "contrast")
"""Image channels: brightness, two rectified pairs of opponent colours, and local contrast."""

VIEW = 80
"""Side, in pixels, of the picture from which the image features are computed."""

_OPPONENT_GAIN = 2.0
_CONTRAST_GAIN = 3.0


def image_features(picture: np.ndarray) -> np.ndarray:
    """Local luminance, opponent colours and contrast of a picture.

    Parameters
    ----------
    picture : uint8, shape (side, side, 3), RGB; the side a multiple of `GRID`

    Returns
    -------
    float32, shape (len(CHANNELS), GRID, GRID), rows from the top
    """
    cell = len(picture) // GRID
    red, green, blue = np.moveaxis(picture.astype(np.float32) / 255, -1, 0)
    luminance = 0.299 * red + 0.587 * green + 0.114 * blue
    red_green = red - green
    blue_yellow = blue - (red + green) / 2

    def cells(plane: np.ndarray) -> np.ndarray:
        return plane.reshape(GRID, cell, GRID, cell).swapaxes(1, 2).reshape(GRID, GRID, -1)

    opponents = [cells(plane).mean(2) * _OPPONENT_GAIN for plane in (red_green, blue_yellow)]
    rectified = [np.maximum(sign * plane, 0) for plane in opponents for sign in (1, -1)]
    contrast = cells(luminance).std(2) * _CONTRAST_GAIN
    return np.stack([cells(luminance).mean(2), *rectified, contrast])


def meaning_names() -> list[str]:
    """Names of the meaning features, in the order of `meaning_features`."""
    spots = ("first", "second")
    return [
        *(f"place {place}" for place in PLACES),
        *(f"{spot} {kind}" for spot in spots for kind in KINDS),
        *(f"{spot} {colour}" for spot in spots for colour in COLOURS),
        "on the left",
        "in the middle",
        "on the right",
        "two things",
    ]


def meaning_features(scene: Scene) -> np.ndarray:
    """What a caption could say: place, kinds and colours by side, where, and how many.

    `first` is the only thing or the left one of two; the three sides are those of a single thing.

    Returns
    -------
    float32, shape (len(meaning_names()),), zeros and ones
    """
    said = {f"place {scene.place}"}
    for spot, thing in zip(("first", "second"), scene.things, strict=False):
        said |= {f"{spot} {thing.kind}", f"{spot} {thing.colour}"}
    if len(scene.things) == 2:
        said.add("two things")
    elif scene.things:
        x = scene.things[0].x
        said.add("on the left" if x < 0.43 else "on the right" if x > 0.57 else "in the middle")
    return np.array([name in said for name in meaning_names()], dtype=np.float32)


def scene_features(scenes: Sequence[Scene]) -> tuple[np.ndarray, np.ndarray]:
    """Both kinds of features of many scenes.

    Returns
    -------
    image : float32, shape (n_scenes, len(CHANNELS), GRID, GRID)
    meaning : float32, shape (n_scenes, len(meaning_names()))
    """
    image = [image_features(draw(scene, VIEW)) for scene in scenes]
    return np.stack(image), np.stack([meaning_features(scene) for scene in scenes])


def generator(seed: int, *names: object) -> np.random.Generator:
    """A random generator for one named purpose: other names, independent draws."""
    text = "/".join([str(seed), *map(str, names)])
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))
