"""Chebyshev convolutions over a graph of brain areas (report, section 2.5.3).

The published graph runs one way, so its last node has no out-edges, and torch-geometric's symmetric
normalisation by out-degree then drops every edge into it. Here the Laplacian is the random walk's,
an edge i -> j weighing r / (sum of |r| over the edges out of i): every edge counts, whatever its
sign. With `normalisation: sym` it is the published one.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.nn import ChebConv

from afterimage.decoders.interface import Graph, TrainingSettings
from afterimage.decoders.networks import Network, NetworkDecoder
from afterimage.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Settings(TrainingSettings):
    """Hyper-parameters.

    Attributes
    ----------
    width : of both graph convolutions
    orders : number of Chebyshev terms of the first and of the second
    channels : of the convolutions after pooling
    n_blocks : residual blocks of one convolution, kernel 3, and LeakyReLU
    hidden : width of the fully connected layer before the output
    normalisation : of the graph's Laplacian: rw (random walk), or sym (symmetric), as published,
        which drops every edge into a node that has none out of it
    shared_blocks : apply one block `n_blocks` times, as the published code does
    """

    width: int = 512
    orders: tuple = (4, 3)
    channels: int = 16
    n_blocks: int = 2
    hidden: int = 1024
    normalisation: str = "rw"
    shared_blocks: bool = False

    limits: ClassVar[dict] = {
        "width": {"least": 1},
        "orders": {"least": 1, "length": 2},
        "channels": {"least": 1},
        "n_blocks": {"least": 1},
        "hidden": {"least": 1},
        "normalisation": {"choices": ["rw", "sym"]},
    }


class Decoder(NetworkDecoder):
    """Trains a `GraphNetwork`."""

    settings_type = Settings
    settings: Settings
    needs_graph = True

    def build(self) -> Network:
        """Make the untrained network.

        Raises
        ------
        InputError
            if the graph was built over other voxels than the responses'
        """
        assert self.graph is not None
        if len(self.graph.node_of_voxel) != self.shapes.n_voxels:
            raise InputError(
                "graph",
                f"{self.shapes.n_voxels} voxels, as the responses have",
                str(len(self.graph.node_of_voxel)),
                "The graph belongs to the area of the image target: use it with its responses.",
            )
        return GraphNetwork(self.settings, self.graph, self.shapes.n_outputs)


class GraphNetwork(Network):
    """(batch, n_voxels) to (batch, n_outputs) through (batch, nodes, features)."""

    voxels: Tensor

    def __init__(self, settings: Settings, graph: Graph, n_outputs: int) -> None:
        super().__init__()
        voxels = voxels_of_nodes(graph)
        self.register_buffer("voxels", torch.from_numpy(voxels), persistent=False)
        first, second = settings.orders
        kind = settings.normalisation
        self.first = GraphConvolution(voxels.shape[1], settings.width, first, graph, kind)
        self.normalise = nn.BatchNorm1d(settings.width)
        self.second = GraphConvolution(settings.width, settings.width, second, graph, kind)
        self.widen = nn.Sequential(nn.Conv1d(1, settings.channels, 1), nn.LeakyReLU())
        n_distinct = 1 if settings.shared_blocks else settings.n_blocks
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(settings.channels, settings.channels, 3, padding=1), nn.LeakyReLU()
            )
            for _ in range(n_distinct)
        )
        self.n_blocks = settings.n_blocks
        self.narrow = nn.Conv1d(settings.channels, 1, 1)
        self.hidden = nn.Sequential(nn.Linear(settings.width, settings.hidden), nn.LeakyReLU())
        self.head = nn.Linear(settings.hidden, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Predict (batch, n_outputs) from (batch, n_voxels)."""
        nodes = nn.functional.pad(x, (0, 1))[:, self.voxels]  # (batch, nodes, features)
        nodes = self.first(nodes)
        # Statistics over samples and nodes together, as over the nodes of a batched graph.
        nodes = self.normalise(nodes.flatten(0, 1)).relu().view_as(nodes)
        pooled = self.second(nodes).mean(dim=1)  # (batch, width)
        x = self.widen(pooled[:, None])  # (batch, channels, width)
        for index in range(self.n_blocks):
            x = x + self.blocks[index % len(self.blocks)](x)
        return self.head(self.hidden(self.narrow(x)[:, 0]))


class GraphConvolution(ChebConv):
    """ChebConv over one small graph that all samples share, normalised once.

    With lambda_max = 2 the scaled Laplacian is minus the normalised adjacency: its diagonal is
    zero, and its entry for an edge i -> j is minus that edge's share of node i's degree (rw), or
    minus its weight over the root of both nodes' degrees, zero where either has none (sym). Degrees
    are sums of |r| over the edges out of a node.
    """

    edges: Tensor
    scaled: Tensor

    def __init__(
        self, width_in: int, width_out: int, order: int, graph: Graph, normalisation: str = "rw"
    ) -> None:
        super().__init__(width_in, width_out, order, normalization=normalisation)
        edges = torch.from_numpy(graph.edge_index)
        weights = torch.from_numpy(graph.edge_weight.astype(np.float32))
        degrees = torch.zeros(graph.n_nodes).index_add_(0, edges[0], weights.abs())
        self.register_buffer("edges", edges, persistent=False)
        scaled = -weights / degrees[edges[0]]
        if normalisation == "sym":
            root = torch.where(degrees > 0, degrees.rsqrt(), 0)
            scaled = -weights * root[edges[0]] * root[edges[1]]
        self.register_buffer("scaled", scaled, persistent=False)

    def __norm__(self, *arguments: object, **options: object) -> tuple[Tensor, Tensor]:
        """Stand in for the normalisation by signed out-degrees."""
        return self.edges, self.scaled

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (batch, nodes, width_in) to (batch, nodes, width_out)."""
        return super().forward(x, self.edges)


def voxels_of_nodes(graph: Graph) -> np.ndarray:
    """Which voxels are each node's features: (nodes, size of the largest node) int64.

    Smaller nodes are filled up with n_voxels, the place of a zero put after the last voxel.
    """
    members = [np.flatnonzero(graph.node_of_voxel == node) for node in range(graph.n_nodes)]
    voxels = np.full((len(members), max(map(len, members))), len(graph.node_of_voxel))
    for row, member in zip(voxels, members, strict=True):
        row[: len(member)] = member
    return voxels
