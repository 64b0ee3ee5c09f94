"""What the page shows of the brain: read from the training responses and the graph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from afterimage.report.inputs import Placed, Subject
from afterimage.stores import array_names, read_arrays

if TYPE_CHECKING:
    from matplotlib.figure import Figure


LINE_OF_SIGHT = "Where voxels lie behind each other, the largest value."

AREA_OF_TARGET = {"image": "lower", "text": "higher"}
"""Which area each target is decoded from, where the settings do not say."""


@dataclass
class Area:
    """One area of one subject, from its training responses (no response itself is kept)."""

    n_samples: int
    n_images: int
    roi: np.ndarray
    xyz: np.ndarray
    noise_ceiling: np.ndarray
    n_dropped: int

    @property
    def located(self) -> np.ndarray:
        """Which voxels have finite coordinates."""
        return np.isfinite(self.xyz).all(axis=1)

    @property
    def rated(self) -> np.ndarray:
        """Which voxels have a finite noise ceiling."""
        return np.isfinite(self.noise_ceiling)


@dataclass
class Brain:
    """One subject's areas, graph, and linear weights where they could be read."""

    subject: Subject
    areas: dict[str, Area] = field(default_factory=dict)
    graph: dict[str, np.ndarray] | None = None
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    """Area -> (n_voxels,) root mean square weight of the linear decoder that reads it."""


def read_brains(responses: Sequence[Placed], graphs: Sequence[Placed]) -> dict[Subject, Brain]:
    """Read every subject's areas and graph; a subject may have only one of them."""
    brains: dict[Subject, Brain] = {}
    for file in responses:
        brain = brains.setdefault(file.subject, Brain(file.subject))
        brain.areas[file.rest[-2]] = read_area(file.path)
    for file in graphs:
        brain = brains.setdefault(file.subject, Brain(file.subject))
        names = ("node_name", "node_size", "pearson", "adjacency")
        brain.graph = read_arrays(file.path, *names)
    for brain in brains.values():
        brain.areas = {
            name: brain.areas[name] for name in ("lower", "higher") if name in brain.areas
        }
    return brains


def read_weights(
    brains: dict[Subject, Brain],
    decoders: Sequence[Placed],
    inputs: Mapping[str, Mapping[str, str]],
) -> None:
    """Fill in the size of the linear decoders' weights, voxel by voxel.

    Parameters
    ----------
    decoders : model.json of each decoder, with model.safetensors beside it
    inputs : dataset -> target -> the area that it is decoded from
    """
    from safetensors.numpy import load_file

    for file in decoders:
        target, _, decoder = file.path.parent.name.partition("-")
        weights = file.path.with_name("model.safetensors")
        area = inputs.get(file.subject[0], {}).get(target, AREA_OF_TARGET.get(target, ""))
        known = brains.get(file.subject, Brain(file.subject)).areas.get(area)
        if decoder != "linear" or known is None or not weights.exists():
            continue
        coefficients = load_file(weights).get("coefficients")
        if coefficients is not None and len(coefficients) == len(known.roi):
            squares = np.einsum("vt,vt->v", coefficients, coefficients, dtype=np.float64)
            brains[file.subject].weights[area] = np.sqrt(squares / coefficients.shape[1])


def read_area(path: Path) -> Area:
    """Read the voxels' attributes of one `responses/{area}/train.zarr`, not the responses."""
    present = array_names(path)
    names = ["image_id", "voxel_roi", "voxel_xyz", "voxel_noise_ceiling", "voxel_kept"]
    arrays = read_arrays(path, *(name for name in names if name in present))
    roi = arrays["voxel_roi"]
    kept = arrays.get("voxel_kept", np.ones(len(roi), bool))
    return Area(
        n_samples=len(arrays["image_id"]),
        n_images=len(np.unique(arrays["image_id"])),
        roi=roi,
        xyz=arrays.get("voxel_xyz", np.full((len(roi), 3), np.nan)),
        noise_ceiling=arrays.get("voxel_noise_ceiling", np.full(len(roi), np.nan)),
        n_dropped=int(len(kept) - kept.sum()),
    )


def brain_figures(brain: Brain, label: str, unit: str = "") -> list[tuple[str, "Figure", str]]:
    """Every chart that this subject's files allow; `unit` is that of the voxels' coordinates.

    Returns
    -------
    list of (name, figure, what it shows in words)
    """
    from afterimage.report.brain_figures import (
        graph_plot,
        noise_ceiling_histogram,
        voxel_counts,
        voxel_maps,
    )

    found: list[tuple[str, Figure, str]] = []
    if brain.graph is not None:
        graph = brain.graph
        names = [str(name) for name in graph["node_name"]]
        text = _describe_graph(names, graph["adjacency"])
        figure = graph_plot(
            names, graph["node_size"], graph["pearson"], graph["adjacency"], f"ROI graph, {label}"
        )
        found.append(("graph", figure, text))
    counts = {area: _counts(values.roi) for area, values in brain.areas.items() if len(values.roi)}
    if counts:
        text = "Voxels used. " + " ".join(
            f"{area.capitalize()}: {', '.join(f'{name} {n:,}' for name, n in regions.items())}."
            for area, regions in counts.items()
        )
        found.append(("voxels", voxel_counts(counts, f"Voxels by region, {label}"), text))
    ceilings = {
        area: values.noise_ceiling[values.rated]
        for area, values in brain.areas.items()
        if values.rated.any()
    }
    if ceilings:
        text = "Noise ceiling of single voxels, from the repeats of training images. " + " ".join(
            f"{area.capitalize()}: median {np.median(v):.2g} % of variance, {len(v):,} voxels."
            for area, v in ceilings.items()
        )
        figure = noise_ceiling_histogram(ceilings, f"Noise ceiling, {label}")
        found.append(("noise-ceiling", figure, text))
    for area, values in brain.areas.items():
        shown = values.located & values.rated
        if shown.any():
            text = (
                f"Noise ceiling of the {area} area's voxels at their coordinates. {LINE_OF_SIGHT}"
            )
            title = f"Noise ceiling in {area} visual cortex, {label}"
            figure = voxel_maps(
                values.xyz[shown], values.noise_ceiling[shown], "noise ceiling (%)", title, unit
            )
            found.append((f"map-ceiling-{area}", figure, text))
        weights = brain.weights.get(area)
        if weights is not None and values.located.any():
            text = (
                f"Size of the linear decoder's weights on the {area} area's voxels, root mean "
                f"square over what it predicts. {LINE_OF_SIGHT}"
            )
            title = f"Linear decoder's weights in {area} visual cortex, {label}"
            shown = values.located
            figure = voxel_maps(values.xyz[shown], weights[shown], "weight (RMS)", title, unit)
            found.append((f"map-weights-{area}", figure, text))
    return found


def _counts(roi: np.ndarray) -> dict[str, int]:
    """Voxels of each region, in the order in which the regions come."""
    names, first, counts = np.unique(roi, return_index=True, return_counts=True)
    return {str(names[i]): int(counts[i]) for i in np.argsort(first)}


def _describe_graph(names: list[str], adjacency: np.ndarray) -> str:
    edges = [f"{names[i]} to {names[j]} {adjacency[i, j]:.2f}" for i, j in np.argwhere(adjacency)]
    kept = "; ".join(edges) if edges else "none: every node stands alone"
    return f"Nodes: {', '.join(names)}. Edges kept, with Pearson's r: {kept}."
