"""The simulated head: a small volume, its two hemispheres, and where each region lies in them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from afterimage.errors import InputError

CENTRES: dict[str, tuple[float, float, float]] = {
    "V1": (0.10, 0.04, 0.50),
    "V2": (0.40, 0.08, 0.55),
    "V3": (0.65, 0.16, 0.50),
    "V4": (0.70, 0.26, 0.28),
    "hV4": (0.70, 0.26, 0.28),
    "ventral": (0.50, 0.55, 0.10),
    "VO1": (0.40, 0.36, 0.14),
    "VO2": (0.35, 0.45, 0.10),
    "TO1": (0.95, 0.36, 0.48),
    "TO2": (0.98, 0.44, 0.45),
    "FFA": (0.60, 0.56, 0.08),
    "PPA": (0.30, 0.56, 0.10),
    "LOC": (0.95, 0.28, 0.36),
    "MST": (0.95, 0.40, 0.62),
    "V6": (0.10, 0.22, 0.85),
}
"""Region -> centre: away from the midline, from the back, from below, as fractions."""

_SHAPE = np.array([0.81, 1.04, 0.83])
_WHITE_MATTER = 0.45
_ROOM = 2.0


@dataclass(frozen=True)
class Head:
    """A volume indexed (x, y, z): first voxel left, posterior, inferior.

    Attributes
    ----------
    brain : bool, shape (X, Y, Z)
    cortex : int8, shape (X, Y, Z), 0 none, 1 left, 2 right hemisphere
    regions : region -> int64, shape (n_voxels, 3), its voxels in C order
    """

    brain: np.ndarray
    cortex: np.ndarray
    regions: dict[str, np.ndarray]

    def hemispheres(self, region: str) -> np.ndarray:
        """Which hemisphere each voxel of a region is in: 1 left, 2 right."""
        return self.cortex[tuple(self.regions[region].T)]


def build_head(sizes: Mapping[str, int], rng: np.random.Generator) -> Head:
    """Lay regions out in an ellipsoid brain, each in both hemispheres and in one piece.

    Parameters
    ----------
    sizes : region (a key of `CENTRES`) -> its number of voxels
    rng : draws how far this head's volume departs from the smallest that would do

    Raises
    ------
    InputError
        if a region is unknown
    """
    unknown = sorted(set(sizes) - set(CENTRES))
    if unknown:
        raise InputError("simulate.voxels", f"regions among {', '.join(CENTRES)}", unknown[0])
    # Brain and cortex fill about a half of the box that holds them.
    scale = (sum(sizes.values()) * _ROOM / (0.52 * (1 - _WHITE_MATTER**3) * _SHAPE.prod())) ** (
        1 / 3
    )
    shape = np.maximum(np.round(scale * _SHAPE).astype(int) + rng.integers(0, 3, size=3), 6)
    brain, cortex = _brain_and_cortex(tuple(shape))
    free = cortex.copy()
    halves: dict[str, list[np.ndarray]] = {region: [] for region in sizes}
    for region, size in sizes.items():
        for side, count in ((1, size - size // 2), (2, size // 2)):
            chosen = _nearest(free, side, region, count)
            free[tuple(chosen.T)] = 0
            halves[region].append(chosen)
    regions = {region: _in_order(np.concatenate(parts)) for region, parts in halves.items()}
    return Head(brain, cortex, regions)


def _brain_and_cortex(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    axes = [np.linspace(-1, 1, side) for side in shape]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    brain = radius <= 1
    cortex = np.where(x < 0, 1, 2) * (brain & (radius >= _WHITE_MATTER))
    return brain, cortex.astype(np.int8)


def _nearest(free: np.ndarray, side: int, region: str, count: int) -> np.ndarray:
    candidates = np.argwhere(free == side)
    if len(candidates) < count:
        raise InputError(
            "simulate.voxels", f"room for {region}", f"{len(candidates)} free voxels of {count}"
        )
    shape = np.array(free.shape)
    lateral, back, below = CENTRES[region]
    x = 0.5 - lateral / 2 if side == 1 else 0.5 + lateral / 2
    centre = np.array([x, back, below]) * (shape - 1)
    distance = ((candidates - centre) ** 2).sum(1)
    return candidates[np.argsort(distance, kind="stable")[:count]]


def _in_order(voxels: np.ndarray) -> np.ndarray:
    return voxels[np.lexsort(voxels.T[::-1])]
