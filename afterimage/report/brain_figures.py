"""The charts of the brain: its graph, voxel counts, noise ceilings and maps."""

from typing import TYPE_CHECKING

import numpy as np

from afterimage.report.drawing import COLOURS, FAINT, INK, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def graph_plot(
    names: list[str], sizes: np.ndarray, pearson: np.ndarray, adjacency: np.ndarray, title: str
) -> "Figure":
    """The ROI graph: Pearson's r between nodes as a matrix, and the kept edges as arrows.

    Parameters
    ----------
    names, sizes : (n_nodes,) the nodes and their voxel counts
    pearson, adjacency : (n_nodes, n_nodes), adjacency zero where there is no edge
    """
    figure, axes = new_figure(6.6, 2.9, 1, 2)
    _matrix(figure, axes[0, 0], names, pearson)
    _arrows(axes[0, 1], names, sizes, adjacency)
    figure.suptitle(title, x=0.005, ha="left", fontsize=9, fontweight="bold", color=INK)
    return figure


def _matrix(figure, axis, names: list[str], pearson: np.ndarray) -> None:
    image = axis.imshow(pearson, cmap="RdBu_r", vmin=-1, vmax=1)
    axis.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axis.set_yticks(range(len(names)), names)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    if len(names) <= 12:
        for i in range(len(names)):
            for j in range(len(names)):
                value = pearson[i, j]
                colour = "white" if abs(value) > 0.6 else "black"
                axis.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
    axis.set_title("Pearson's r between nodes")
    bar = figure.colorbar(image, ax=axis, shrink=0.8)
    bar.outline.set_visible(False)


def _arrows(axis, names: list[str], sizes: np.ndarray, adjacency: np.ndarray) -> None:
    from matplotlib.patches import FancyArrowPatch

    angles = np.pi - 2 * np.pi * np.arange(len(names)) / max(1, len(names))
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    edges = np.argwhere(adjacency != 0)
    for i, j in edges:
        weight = adjacency[i, j]
        if len(edges) <= 12:
            middle = (points[i] + points[j]) / 2
            _label(axis, middle, f"{weight:.2f}".replace("-", "−"))
        arrow = FancyArrowPatch(
            points[i],
            points[j],
            arrowstyle="-|>",
            mutation_scale=9,
            shrinkA=15,
            shrinkB=15,
            linewidth=0.6 + 2 * abs(weight),
            color=COLOURS["blue"] if weight > 0 else COLOURS["orange"],
            connectionstyle="arc3,rad=0.08",
        )
        axis.add_patch(arrow)
    axis.scatter(*points.T, s=780, color="white", edgecolors=FAINT, zorder=3)
    for point, name, size in zip(points, names, sizes, strict=True):
        text = f"{name}\n{size:,}"
        axis.text(*point, text, ha="center", va="center", fontsize=6.5, color="black", zorder=4)
    axis.set_xlim(-1.45, 1.45)
    axis.set_ylim(-1.35, 1.35)
    axis.set_aspect("equal")
    axis.axis("off")
    count = int(np.count_nonzero(adjacency))
    axis.set_title(f"Nodes with their voxels, {count} edges kept, with r")


def _label(axis, point: np.ndarray, text: str) -> None:
    """An edge's weight, outside of the circle that the nodes stand on."""
    place = point + 0.22 * point / max(0.2, float(np.linalg.norm(point)))
    axis.text(*place, text, ha="center", va="center", fontsize=7, color=INK)


def voxel_counts(counts: dict[str, dict[str, int]], title: str) -> "Figure":
    """Voxels of each region, one panel an area.

    Parameters
    ----------
    counts : area -> region -> number of voxels
    """
    most = max(len(regions) for regions in counts.values())
    figure, axes = new_figure(3.1 * len(counts), 0.75 + 0.22 * most, 1, len(counts))
    for axis, (area, regions) in zip(axes[0], counts.items(), strict=True):
        names = list(regions)[::-1]
        values = [regions[name] for name in names]
        bars = axis.barh(names, values, color=COLOURS["blue"], height=0.66)
        axis.bar_label(bars, [f"{value:,}" for value in values], padding=3, color=INK, fontsize=8)
        axis.set_title(f"{area} visual cortex, {sum(values):,} voxels")
        axis.spines[["bottom"]].set_visible(False)
        axis.set_xticks([])
        axis.set_ylim(len(names) - most - 0.5, len(names) - 0.5)
        axis.margins(x=0.18)
    figure.suptitle(title, x=0.005, ha="left", fontsize=9, fontweight="bold", color=INK)
    return figure


def noise_ceiling_histogram(ceilings: dict[str, np.ndarray], title: str) -> "Figure":
    """How much of each voxel's variance the picture can explain, by area (finite values only)."""
    figure, axes = new_figure(4.4, 2.4)
    axis = axes[0, 0]
    top = max(100.0 if values.max() > 1.5 else 1.0 for values in ceilings.values())
    edges = np.linspace(0, top, 26)
    for (area, values), colour in zip(ceilings.items(), ("blue", "orange"), strict=False):
        label = f"{area} (median {np.median(values):.2g}{' %' if top > 1 else ''})"
        axis.hist(
            np.clip(values, 0, top), edges, histtype="stepfilled", alpha=0.35, color=COLOURS[colour]
        )
        axis.hist(
            np.clip(values, 0, top), edges, histtype="step", color=COLOURS[colour], label=label
        )
    axis.set_xlabel("noise ceiling" + (" (% of variance)" if top > 1 else " (share of variance)"))
    axis.set_ylabel("voxels")
    axis.legend(loc="upper right")
    axis.set_title(title)
    return figure


def voxel_maps(
    xyz: np.ndarray, values: np.ndarray, name: str, title: str, unit: str = ""
) -> "Figure":
    """One number a voxel, seen along the three axes; the largest value along each line of sight.

    Parameters
    ----------
    xyz : (n_voxels, 3) coordinates
    values : (n_voxels,) finite
    unit : of the coordinates
    """
    views = (("from above", 0, 1), ("from behind", 0, 2), ("from the side", 1, 2))
    figure, axes = new_figure(7.4, 2.5, 1, 3)
    order = np.argsort(values, kind="stable")
    low, high = np.percentile(values, [2, 98])
    for axis, (view, a, b) in zip(axes[0], views, strict=True):
        size = 2000 / max(200, len(values)) ** 0.9
        dots = axis.scatter(
            xyz[order, a],
            xyz[order, b],
            c=values[order],
            s=max(2.0, size),
            cmap="viridis",
            vmin=low,
            vmax=high if high > low else low + 1,
            linewidths=0,
            marker="s",
            rasterized=True,
        )
        axis.set_title(view)
        axis.set_aspect("equal", anchor="N")
        axis.set_xlabel(f"{'xyz'[a]} ({unit})" if unit else "xyz"[a])
        axis.set_ylabel(f"{'xyz'[b]} ({unit})" if unit else "xyz"[b])
        axis.locator_params(nbins=4)
    bar = figure.colorbar(dots, ax=list(axes[0]), shrink=0.85, panchor=False)
    bar.set_label(name)
    bar.outline.set_visible(False)
    figure.suptitle(title, x=0.005, ha="left", fontsize=9, fontweight="bold", color=INK)
    return figure
