"""The graph of brain regions that the graph network works on.

A node is a region or a union of regions; an edge joins two nodes whose mean responses go up and
down together over the training trials.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from afterimage.errors import InputError, closest

DIRECTIONS = ("forward", "both")


@dataclass(frozen=True)
class Graph:
    """Nodes and edges over an area's voxels.

    `names` (N,); `sizes` (N,) voxels per node; `node_of_voxel` (n_voxels,) int64, -1 for a voxel
    in no node; `pearson` (N, N) float64; `adjacency` (N, N) float64, 0 where there is no edge;
    `edge_index` (2, E) int64, sources over targets; `edge_weight` (E,) float32, signed.
    """

    names: list[str]
    sizes: np.ndarray
    node_of_voxel: np.ndarray
    pearson: np.ndarray
    adjacency: np.ndarray
    edge_index: np.ndarray
    edge_weight: np.ndarray

    @property
    def padded_size(self) -> int:
        """k: features per node after padding with zeros, the size of the largest node."""
        return int(self.sizes.max())


def assign_nodes(nodes: Mapping[str, Sequence[str]], voxel_roi: np.ndarray) -> np.ndarray:
    """The node of every voxel, from the region names that each node unites.

    Parameters
    ----------
    nodes : node name -> region names, in the order that numbers the nodes
    voxel_roi : (n_voxels,) region name of every voxel

    Returns
    -------
    (n_voxels,) int64, -1 for a voxel in no node

    Raises
    ------
    InputError
        if a region is unknown or is in two nodes, or there is no node
    """
    if not nodes:
        raise InputError("graph.nodes", "at least one node", "none")
    present = sorted(set(map(str, voxel_roi)))
    node_of_region: dict[str, str] = {}
    node_of_voxel = np.full(len(voxel_roi), -1, dtype=np.int64)
    for index, (node, regions) in enumerate(nodes.items()):
        if not regions:
            raise InputError(f"graph.nodes.{node}", "at least one region", "none")
        for region in regions:
            if region not in present:
                raise InputError(
                    f"graph.nodes.{node}",
                    "regions that have voxels",
                    repr(region),
                    closest(region, present),
                )
            if region in node_of_region:
                raise InputError(
                    f"graph.nodes.{node}",
                    "every region in one node",
                    f"{region!r} in {node_of_region[region]!r} too",
                )
            node_of_region[region] = node
        node_of_voxel[np.isin(voxel_roi, list(regions))] = index
    return node_of_voxel


def node_means(x: np.ndarray, node_of_voxel: np.ndarray) -> np.ndarray:
    """Mean response of every node: (n_samples, n_voxels) -> (n_samples, N) float64."""
    n_nodes = int(node_of_voxel.max()) + 1
    return np.stack(
        [x[:, node_of_voxel == node].mean(axis=1, dtype=np.float64) for node in range(n_nodes)],
        axis=1,
    )


def pearson(means: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Correlation of the columns of (n_samples, N) over samples: (N, N) float64.

    Raises
    ------
    InputError
        if there are fewer than three samples, or a column is not finite or does not vary
    """
    if len(means) < 3:
        raise InputError("graph", "at least 3 training samples", str(len(means)))
    for name, column in zip(names, means.T, strict=True):
        if not np.isfinite(column).all():
            raise InputError(f"graph node {name!r}", "finite responses", "NaN or infinity")
        if np.ptp(column) <= 1e-12 * np.abs(column).max():
            raise InputError(
                f"graph node {name!r}", "responses that vary over trials", "a constant"
            )
    centred = means.astype(np.float64) - means.mean(axis=0, dtype=np.float64)
    unit = centred / np.sqrt((centred**2).sum(axis=0))
    correlation = np.clip(unit.T @ unit, -1, 1)
    np.fill_diagonal(correlation, 1)
    return correlation


def connect(
    correlation: np.ndarray, threshold: float, direction: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges where |r| exceeds the threshold, never from a node to itself.

    Parameters
    ----------
    correlation : (N, N)
    direction : `forward` joins i to j for i < j only, as reported; `both` joins either way

    Returns
    -------
    adjacency (N, N) float64, edge_index (2, E) int64, edge_weight (E,) float32
    """
    if direction not in DIRECTIONS:
        raise InputError(
            "graph.direction", "a known direction", direction, closest(direction, list(DIRECTIONS))
        )
    linked = np.abs(correlation) > threshold
    np.fill_diagonal(linked, False)
    if direction == "forward":
        linked = np.triu(linked)
    edge_index = np.stack(np.nonzero(linked)).astype(np.int64)
    edge_weight = correlation[linked].astype(np.float32)
    return np.where(linked, correlation, 0.0), edge_index, edge_weight


def build_graph(
    nodes: Mapping[str, Sequence[str]],
    node_of_voxel: np.ndarray,
    means: np.ndarray,
    threshold: float,
    direction: str,
) -> Graph:
    """Join the nodes by the correlation of their mean responses.

    Parameters
    ----------
    nodes : node name -> region names
    node_of_voxel : (n_voxels,) from `assign_nodes`
    means : (n_samples, N) from `node_means`, of training samples only
    """
    names = list(nodes)
    correlation = pearson(means, names)
    adjacency, edge_index, edge_weight = connect(correlation, threshold, direction)
    return Graph(
        names=names,
        sizes=np.bincount(node_of_voxel[node_of_voxel >= 0], minlength=len(names)),
        node_of_voxel=node_of_voxel,
        pearson=correlation,
        adjacency=adjacency,
        edge_index=edge_index,
        edge_weight=edge_weight,
    )


def pad_nodes(x: np.ndarray, node_of_voxel: np.ndarray) -> np.ndarray:
    """Voxels as features of their nodes, zeros behind: (n, n_voxels) -> (n, N, k)."""
    sizes = np.bincount(node_of_voxel[node_of_voxel >= 0])
    padded = np.zeros((len(x), len(sizes), int(sizes.max())), dtype=x.dtype)
    for node, size in enumerate(sizes):
        padded[:, node, :size] = x[:, node_of_voxel == node]
    return padded
