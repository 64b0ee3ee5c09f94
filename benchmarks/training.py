"""Training throughput of every network at NSD's true size, beside a plain implementation.

The plain one works as the published notebooks do: a Dataset of single samples behind a DataLoader,
for the GCN a list of graphs that PyG batches anew at every step, PyTorch's default Adam and
precision, the loss fetched at every step. Both train networks of the same size on the same
random data, in turns within one run; the middle turn counts. It prints one JSON line a network
and then `ratio`, the smallest of ours / plain.

    python benchmarks/training.py --device auto
"""

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from afterimage import decoders
from afterimage.decoders import gcn, training
from afterimage.decoders.interface import Execution, Graph, Samples, Shapes

NODES = (4_308, 2_916, 3_407)
LOWER, HIGHER = sum(NODES), 7_604
IMAGE, TEXT = (4, 40, 40), (14, 768)
NETWORKS = {
    "text cnn": {
        "kind": "cnn",
        "n_blocks": 3,
        "convolutions_per_block": 3,
        "kernel": 7,
        "hidden": [1024, 2048],
        "learning_rate": 1e-4,
        "batch_size": 16,
    },
    "image cnn": {"kind": "cnn", "learning_rate": 5e-4, "batch_size": 256},
    "image vae": {"kind": "vae", "learning_rate": 5e-4, "batch_size": 256},
    "image gcn": {"kind": "gcn", "learning_rate": 1e-3, "batch_size": 64},
}
TRAINING_TRIALS, EPOCHS = 24_980, 100


class SingleSamples(torch.utils.data.Dataset):
    """Pairs of one response and one latent, as the notebooks hold them."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples.x)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        y = self.samples.y[self.samples.image[index]]
        return torch.tensor(self.samples.x[index]), torch.tensor(y)


class PlainGraphNetwork(nn.Module):
    """The GCN on a PyG batch: its own ChebConv, batch normalisation and pooling."""

    def __init__(self, network: gcn.GraphNetwork) -> None:
        from torch_geometric.nn import BatchNorm, ChebConv

        super().__init__()
        first, second = network.first, network.second
        self.first = ChebConv(first.in_channels, first.out_channels, len(first.lins))
        self.normalise = BatchNorm(first.out_channels)
        self.second = ChebConv(second.in_channels, second.out_channels, len(second.lins))
        self.rest = network

    def forward(self, batch) -> Tensor:
        from torch_geometric.nn import global_mean_pool

        nodes = self.first(batch.x, batch.edge_index, batch.edge_attr)
        nodes = self.normalise(nodes).relu()
        nodes = self.second(nodes, batch.edge_index, batch.edge_attr)
        rest = self.rest
        x = rest.widen(global_mean_pool(nodes, batch.batch)[:, None])
        for block in rest.blocks:
            x = x + block(x)
        return rest.head(rest.hidden(rest.narrow(x)[:, 0]))


def synthetic(name: str, n_samples: int) -> tuple[Samples, Graph | None, Shapes]:
    """Random responses and latents of the true widths."""
    rng = np.random.default_rng(0)
    n_voxels, latent = (HIGHER, TEXT) if name.startswith("text") else (LOWER, IMAGE)
    shapes = Shapes(n_voxels, latent)
    x = rng.standard_normal((n_samples, n_voxels), dtype=np.float32)
    y = rng.standard_normal((n_samples, shapes.n_outputs), dtype=np.float32)
    graph = Graph(
        np.repeat([0, 1, 2], NODES).astype(np.int64),
        np.array([[0, 0, 1], [1, 2, 2]], dtype=np.int64),
        np.array([0.9, 0.8, 0.9], dtype=np.float32),
    )
    return Samples(x, np.arange(n_samples), y), graph, shapes


def ours(cfg: dict, samples: Samples, graph: Graph | None, shapes: Shapes, execution: Execution):
    """One turn of the package's own loop: a function that trains an epoch over all samples."""
    decoder = decoders.make(cfg, shapes, graph)
    network, settings = decoder.network.to(execution.device), decoder.settings
    optimiser = training.adam(network, settings)
    data = training.Resident(samples, execution.device)
    step = torch.compile(network.training_loss) if execution.compile else network.training_loss

    def epoch() -> None:
        training.train_epoch(network, step, optimiser, data, settings, execution)

    return epoch


def plain(cfg: dict, samples: Samples, graph: Graph | None, shapes: Shapes, execution: Execution):
    """One turn of the plain loop."""
    network: nn.Module = decoders.make(cfg, shapes, graph).network
    loss_of: Callable = network.training_loss
    if cfg["kind"] == "gcn":
        loader, network = graph_loader(cfg, samples, graph), PlainGraphNetwork(network)
    else:
        loader = torch.utils.data.DataLoader(
            SingleSamples(samples), batch_size=cfg["batch_size"], shuffle=True
        )
    network = network.to(execution.device)
    optimiser = torch.optim.Adam(network.parameters(), lr=cfg["learning_rate"])

    def epoch() -> None:
        network.train()
        total = 0.0
        for batch in loader:
            optimiser.zero_grad()
            if cfg["kind"] == "gcn":
                batch = batch.to(execution.device)
                truth = batch.y.view(-1, shapes.n_outputs)
                loss = nn.functional.mse_loss(network(batch), truth)
            else:
                loss, _ = loss_of(*(part.to(execution.device) for part in batch))
            loss.backward()
            optimiser.step()
            total += loss.item()

    return epoch


def graph_loader(cfg: dict, samples: Samples, graph: Graph):
    """A PyG loader of one graph a sample, nodes zero-padded."""
    from torch_geometric.data import Data
    from torch_geometric.loader import DataLoader

    x = torch.nn.functional.pad(torch.from_numpy(samples.x), (0, 1))
    nodes = x[:, torch.from_numpy(gcn.voxels_of_nodes(graph))]
    edges, weights = torch.from_numpy(graph.edge_index), torch.from_numpy(graph.edge_weight)
    items = [
        Data(x=one, edge_index=edges, edge_attr=weights, y=torch.from_numpy(samples.y[index]))
        for index, one in enumerate(nodes)
    ]
    return DataLoader(items, batch_size=cfg["batch_size"], shuffle=True)


def seconds(epoch: Callable[[], None], device: str) -> float:
    """Wall time of one epoch, the device's work included."""
    if device == "cuda":
        torch.cuda.synchronize()
    begin = time.perf_counter()
    epoch()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def measure(name: str, arguments: argparse.Namespace, execution: Execution) -> dict:
    """Train both in turns; samples per second and the most memory of each."""
    cfg = {**NETWORKS[name], "seed": 0}
    cfg["batch_size"] = min(cfg["batch_size"], arguments.batch_limit or cfg["batch_size"])
    samples, graph, shapes = synthetic(name, cfg["batch_size"] * arguments.batches)
    result: dict = {"network": name, "batch_size": cfg["batch_size"], "n_samples": len(samples.x)}
    epochs, peaks = {}, {}
    for side, build in (("ours", ours), ("plain", plain)):
        if execution.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
        epochs[side] = build(cfg, samples, graph, shapes, execution)
        epochs[side]()
        if execution.device == "cuda":
            peaks[side] = torch.cuda.max_memory_allocated() - before
    times: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(arguments.rounds):
        for side, epoch in epochs.items():
            times[side].append(seconds(epoch, execution.device))
    for side, values in times.items():
        result[f"{side}_samples_per_second"] = len(samples.x) / statistics.median(values)
        if side in peaks:
            result[f"{side}_peak_gpu_gigabytes"] = peaks[side] / 1e9
    result["ratio"] = result["ours_samples_per_second"] / result["plain_samples_per_second"]
    result["ratios"] = [b / a for a, b in zip(times["ours"], times["plain"], strict=True)]
    result["minutes_of_100_epochs"] = (
        TRAINING_TRIALS * EPOCHS / result["ours_samples_per_second"] / 60
    )
    return result


def results(arguments: argparse.Namespace) -> Iterator[dict]:
    """A row per network, then the smallest ratio."""
    cuda = arguments.device == "cuda" or (arguments.device == "auto" and torch.cuda.is_available())
    device = "cuda" if cuda else "cpu"
    execution = Execution(device=device, half=cuda, compile=arguments.compile)
    ratios = {}
    for name in arguments.networks:
        row = measure(name, arguments, execution)
        ratios[name] = row["ratio"]
        yield row
    yield {
        "ratio": min(ratios.values()),
        "slowest": min(ratios, key=ratios.__getitem__),
        "device": torch.cuda.get_device_name() if cuda else f"{torch.get_num_threads()} threads",
        "peak_process_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--batches", type=int, default=8, help="steps of an epoch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-limit", type=int, default=0, help="smaller batches, for a CPU")
    parser.add_argument("--compile", action="store_true")
    for row in results(parser.parse_args()):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
