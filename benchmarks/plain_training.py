"""Training as the published notebooks do it: what benchmarks/training.py compares with.

A Dataset of single samples behind a DataLoader, for the GCN a list of graphs that torch-geometric
batches anew at every step, convolutions along (batch, channels, voxels), PyTorch's default Adam and
precision, the loss fetched at every step.
"""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

from afterimage.decoders import gcn
from afterimage.decoders.cnn import ConvolutionalNetwork
from afterimage.decoders.gcn import GraphNetwork
from afterimage.decoders.interface import Graph, Samples
from afterimage.decoders.networks import Network

Batches = torch.utils.data.DataLoader


class PlainConvolutions(Network):
    """A CNN of PyTorch's own layers, in the order in which the report names them."""

    def __init__(self, network: ConvolutionalNetwork) -> None:
        super().__init__()
        self.widen = plain_layer(network.widen)
        self.blocks = nn.ModuleList(
            nn.Sequential(*(plain_layer(layer) for layer in block)) for block in network.blocks
        )
        self.narrow = plain_layer(network.narrow)
        self.hidden, self.head = deepcopy(network.hidden), deepcopy(network.head)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_voxels) to (batch, n_outputs)."""
        x = self.widen(x[:, None]).relu()
        for block in self.blocks:
            x = x + block(x)
        return self.head(self.hidden(self.narrow(x)[:, 0].relu()))


def plain_layer(layer: nn.Module) -> nn.Module:
    """PyTorch's own Conv1d with the same weights, or a ReLU."""
    if not isinstance(layer, nn.Conv1d):
        return nn.ReLU()
    size, padding = layer.kernel_size[0], layer.padding[0]
    plain = nn.Conv1d(layer.in_channels, layer.out_channels, size, padding=padding)
    plain.load_state_dict(layer.state_dict())
    return plain


class PlainGraphs(nn.Module):
    """The GCN on a batch of graphs: torch-geometric's ChebConv, normalisation and pooling."""

    def __init__(self, network: GraphNetwork) -> None:
        from torch_geometric.nn import BatchNorm, ChebConv

        super().__init__()
        self.first, self.second = (
            ChebConv(one.in_channels, one.out_channels, len(one.lins), normalization="rw")
            for one in (network.first, network.second)
        )
        self.first.load_state_dict(network.first.state_dict())
        self.second.load_state_dict(network.second.state_dict())
        self.normalise = BatchNorm(network.first.out_channels)
        self.widen, self.blocks = deepcopy(network.widen), deepcopy(network.blocks)
        self.narrow, self.hidden = deepcopy(network.narrow), deepcopy(network.hidden)
        self.head = deepcopy(network.head)

    def forward(self, batch) -> Tensor:
        """A torch-geometric batch to (batch, n_outputs)."""
        from torch_geometric.nn import global_mean_pool

        wiring = batch.edge_index, batch.edge_attr
        largest = torch.tensor(2.0, device=batch.x.device)
        nodes = self.first(batch.x, *wiring, lambda_max=largest)
        nodes = self.normalise(nodes).relu()
        nodes = self.second(nodes, *wiring, lambda_max=largest)
        x = self.widen(global_mean_pool(nodes, batch.batch)[:, None])
        for block in self.blocks:
            x = x + block(x)
        return self.head(self.hidden(self.narrow(x)[:, 0]))

    def training_loss(self, batch) -> tuple[Tensor, Tensor]:
        """Mean squared error, and again without its graph."""
        predicted = self(batch)
        error = nn.functional.mse_loss(predicted, batch.y.view_as(predicted))
        return error, error.detach()


def plain_network(network: Network) -> nn.Module:
    """The same weights in a plain network."""
    if isinstance(network, ConvolutionalNetwork):
        return PlainConvolutions(network)
    return PlainGraphs(network) if isinstance(network, GraphNetwork) else deepcopy(network)


class SingleSamples(torch.utils.data.Dataset):
    """Pairs of one response and one latent, as the notebooks hold them."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples.x)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        y = self.samples.y[self.samples.image[index]]
        return torch.tensor(self.samples.x[index]), torch.tensor(y)


def plain_batches(
    network: nn.Module, samples: Samples, graph: Graph, size: int, shuffle: bool = True
) -> Batches:
    """Single samples or, for the GCN, single graphs with their nodes zero-padded."""
    if not isinstance(network, PlainGraphs):
        return Batches(SingleSamples(samples), batch_size=size, shuffle=shuffle)
    from torch_geometric.data import Data
    from torch_geometric.loader import DataLoader

    x = torch.nn.functional.pad(torch.from_numpy(samples.x), (0, 1))
    nodes = x[:, torch.from_numpy(gcn.voxels_of_nodes(graph))]
    edges, weights = torch.from_numpy(graph.edge_index), torch.from_numpy(graph.edge_weight)
    items = [
        Data(
            x=one,
            edge_index=edges,
            edge_attr=weights,
            y=torch.from_numpy(samples.y[samples.image[index]]),
        )
        for index, one in enumerate(nodes)
    ]
    return DataLoader(items, batch_size=size, shuffle=shuffle)


def on_device(batch, device: str) -> list:
    """The arguments of `training_loss`: responses and latents, or one batch of graphs."""
    if isinstance(batch, list):
        return [part.to(device) for part in batch]
    return [batch.to(device)]


def plain_epoch(
    network: nn.Module, batches: Batches, learning_rate: float, device: str
) -> Callable[[], None]:
    """Give a function that trains an epoch."""
    network = network.to(device)
    optimiser = torch.optim.Adam(network.parameters(), lr=learning_rate)

    def epoch() -> None:
        network.train()
        total = 0.0
        for batch in batches:
            optimiser.zero_grad()
            loss, _ = network.training_loss(*on_device(batch, device))
            loss.backward()
            optimiser.step()
            total += loss.item()

    return epoch
