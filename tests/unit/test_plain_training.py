"""The benchmark's plain way trains the same networks, and a difference would be seen."""

import numpy as np
import pytest
import torch

from afterimage.decoders import make
from afterimage.decoders.interface import Execution
from benchmarks import nsd_networks
from benchmarks.nsd_networks import TOLERANCES, Subject, differences
from benchmarks.plain_training import plain_batches, plain_epoch, plain_network
from tests.unit.decoder_samples import brain, entry, graph, shapes

KINDS = ["cnn", "vae", "gcn"]


def positive_graph():
    """torch-geometric's degrees are signed: only without negative edges are they ours."""
    wiring = graph()
    return type(wiring)(wiring.node_of_voxel, wiring.edge_index, np.abs(wiring.edge_weight))


@pytest.fixture(params=KINDS)
def subject(request) -> Subject:
    train, _, _ = brain(40)
    cfg = entry(request.param, batch_size=8)
    decoder = make(cfg, shapes(train), positive_graph())
    with torch.no_grad():
        decoder.network.prepare(torch.from_numpy(train.x))
    return Subject(cfg, train, positive_graph(), decoder.network, decoder.settings)


def test_loss_and_gradients_are_the_same(subject):
    found = differences(subject, Execution())
    assert all(found[name] <= tolerance for name, tolerance in TOLERANCES.items())


def test_another_network_is_told_apart(subject, monkeypatch):
    def altered(network):
        other = plain_network(network)
        with torch.no_grad():
            other.head.weight *= 1.01
        return other

    monkeypatch.setattr(nsd_networks, "plain_network", altered)
    found = differences(subject, Execution())
    assert found["loss"] > TOLERANCES["loss"]
    assert found["gradient"] > TOLERANCES["gradient"]


def test_the_plain_way_learns(subject):
    network = plain_network(subject.network)
    before = subject.network.head.weight.clone()
    epoch = plain_epoch(
        network, plain_batches(network, subject.samples, subject.graph, 8), 1e-3, "cpu"
    )
    epoch()
    assert not torch.equal(network.head.weight, before)
    assert torch.equal(subject.network.head.weight, before)
