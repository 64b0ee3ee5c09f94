"""The networks against second implementations, and their sizes at full scale."""

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch, Data
from torch_geometric.nn import global_mean_pool

from afterimage.decoders import gcn, make
from afterimage.decoders.cnn import ConvolutionalNetwork
from afterimage.decoders.cnn import Settings as CnnSettings
from afterimage.decoders.interface import Execution, Graph, Shapes
from afterimage.decoders.vae import Settings as VaeSettings
from afterimage.decoders.vae import VariationalNetwork
from tests.unit.decoder_samples import entry, graph

LOWER, HIGHER, IMAGE, TEXT = 10_631, 7_604, 6_400, 10_752
V1, V2, V3_AND_V4 = 4_308, 2_916, 3_407


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def linear(wide: int, narrow: int) -> int:
    return wide * narrow + narrow


def test_text_cnn_has_the_reports_size():
    settings = CnnSettings(n_blocks=3, convolutions_per_block=3, kernel=7, hidden=(1024, 2048))
    with torch.device("meta"):
        network = ConvolutionalNetwork(settings, HIGHER, TEXT)
    convolutions = (64 + 64) + 9 * (64 * 64 * 7 + 64) + (64 + 1)
    fully = linear(HIGHER, 1024) + linear(1024, 2048) + linear(2048, TEXT)
    assert parameters(network) == convolutions + fully == 32_176_385


def test_image_cnn_has_the_reports_size():
    with torch.device("meta"):
        network = ConvolutionalNetwork(CnnSettings(), LOWER, IMAGE)
    convolutions = (64 + 64) + 4 * (64 * 64 * 11 + 64) + (64 + 1)
    fully = linear(LOWER, 512) + linear(512, 512) + linear(512, IMAGE)
    assert parameters(network) == convolutions + fully == 9_170_113


def test_vae_has_the_reports_size():
    with torch.device("meta"):
        network = VariationalNetwork(VaeSettings(), LOWER, IMAGE)
    encoder = linear(LOWER, 512) + linear(512, 256) + 2 * linear(256, IMAGE)
    blocks = linear(IMAGE, 4096) + 2 * linear(4096, 4096) + 3 * 2 * 4096
    assert parameters(network) == encoder + blocks + linear(4096, LOWER) == 112_225_415


def test_gcn_has_the_reports_size():
    nodes = np.repeat([0, 1, 2], [V1, V2, V3_AND_V4]).astype(np.int64)
    edges = np.array([[0, 0, 1], [1, 2, 2]], dtype=np.int64)
    network = gcn.GraphNetwork(
        gcn.Settings(), Graph(nodes, edges, np.ones(3, dtype=np.float32)), IMAGE
    )
    graph_part = (4 * V1 * 512 + 512) + 2 * 512 + (3 * 512 * 512 + 512)
    convolutions = (16 + 16) + 2 * (16 * 16 * 3 + 16) + (16 + 1)
    fully = linear(512, 1024) + linear(1024, IMAGE)
    assert parameters(network) == graph_part + convolutions + fully == 16_698_193


def test_shared_blocks_are_one_block():
    one = ConvolutionalNetwork(CnnSettings(shared_blocks=True, channels=4), 20, 3)
    two = ConvolutionalNetwork(CnnSettings(channels=4), 20, 3)
    assert parameters(two) - parameters(one) == 2 * (4 * 4 * 11 + 4)


def weights(network: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: value.double().numpy() for name, value in network.state_dict().items()}


def convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Same-length convolution of (channels, length), the definition itself."""
    half = weight.shape[2] // 2
    padded = np.pad(x, ((0, 0), (half, half)))
    out = np.repeat(bias[:, None], x.shape[1], axis=1)
    for position in range(x.shape[1]):
        out[:, position] += np.einsum(
            "oik,ik->o", weight, padded[:, position : position + weight.shape[2]]
        )
    return out


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.01 * x)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("ends", [False, True])
def test_cnn_forward_is_the_reports(shared, ends):
    torch.manual_seed(0)
    settings = CnnSettings(
        channels=3,
        n_blocks=2,
        convolutions_per_block=3,
        kernel=5,
        hidden=(7, 6),
        shared_blocks=shared,
        rectify_ends=ends,
    )
    network = ConvolutionalNetwork(settings, 11, 4)
    responses = torch.randn(2, 11)
    with torch.no_grad():
        network.prepare(responses)
        found = network(responses)
    w = weights(network)
    end = relu if ends else (lambda value: value)
    for one, predicted in zip(responses.double().numpy(), found.numpy(), strict=True):
        x = end(convolve(one[None], w["widen.weight"], w["widen.bias"]))
        for block in (0, 0) if shared else (0, 1):
            branch = x
            for layer in (0, 2, 4):
                name = f"blocks.{block}.{layer}"
                branch = relu(convolve(branch, w[f"{name}.weight"], w[f"{name}.bias"]))
            x = x + branch
        x = end(convolve(x, w["narrow.weight"], w["narrow.bias"]))[0]
        for layer in (0, 2):
            x = relu(w[f"hidden.{layer}.weight"] @ x + w[f"hidden.{layer}.bias"])
        np.testing.assert_allclose(w["head.weight"] @ x + w["head.bias"], predicted, atol=1e-5)


def test_cnn_starts_alive_whatever_the_seed():
    """One channel behind a ReLU may well be zero everywhere: not after `prepare`."""
    x = torch.randn(32, 50)
    for seed in range(10):
        torch.manual_seed(seed)
        network = ConvolutionalNetwork(CnnSettings(channels=8), 50, 4)
        with torch.no_grad():
            network.prepare(x)
            assert (network.ends(network.convolve(x)) > 0).float().mean() > 0.9


def test_without_the_relu_nothing_is_rescaled():
    network = ConvolutionalNetwork(CnnSettings(channels=8, rectify_ends=False), 50, 4)
    before = weights(network)
    with torch.no_grad():
        network.prepare(torch.randn(32, 50))
    after = weights(network)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_vae_forward_loss_and_skips():
    torch.manual_seed(0)
    settings = VaeSettings(hidden=(8, 6), width=5, reconstruction_weight=0.5, kl_weight=0.25)
    network = VariationalNetwork(settings, 9, 4).train()
    x, y = torch.randn(7, 9), torch.randn(7, 4)
    torch.manual_seed(1)
    with torch.no_grad():
        loss, error = network.training_loss(x, y)
    torch.manual_seed(1)
    noise = torch.randn(7, 4).double().numpy()
    w, brain, truth = weights(network), x.double().numpy(), y.double().numpy()

    def layer(name: str, value: np.ndarray) -> np.ndarray:
        return value @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    code = layer("encoder.2", leaky(layer("encoder.0", brain)))
    mean, log_variance = layer("head", code), layer("log_variance", code)
    z = mean + np.exp(log_variance / 2) * noise
    for block in range(3):
        after = layer(f"blocks.{block}.0", z)
        after = (after - after.mean(0)) / np.sqrt(after.var(0) + 1e-5)
        after = leaky(after * w[f"blocks.{block}.1.weight"] + w[f"blocks.{block}.1.bias"])
        z = after if block == 0 else z + after
    expected = ((mean - truth) ** 2).mean() + np.exp(log_variance).mean()
    expected += 0.5 * ((layer("reconstruct", z) - brain) ** 2).mean()
    divergence = (mean**2 + np.exp(log_variance) - 1 - log_variance) / 2
    assert float(loss) == pytest.approx(expected + 0.25 * divergence.mean(), rel=1e-5)
    assert float(error) == pytest.approx(((mean - truth) ** 2).mean(), rel=1e-5)
    network.eval()
    with torch.no_grad():
        np.testing.assert_allclose(network(x).numpy(), mean, atol=1e-5)


def test_vae_has_a_gradient_where_the_variance_underflows():
    torch.manual_seed(0)
    network = VariationalNetwork(VaeSettings(hidden=(8, 6), width=5), 9, 4).train()
    with torch.no_grad():
        network.log_variance.bias.fill_(-110)
    assert torch.tensor(-110.0).exp() == 0
    loss, _ = network.training_loss(torch.randn(7, 9), torch.randn(7, 4))
    loss.backward()
    assert all(one.grad.isfinite().all() for one in network.parameters())


def test_vae_predicts_a_sample_as_published():
    """Mean plus deviation times noise that belongs to seed and response, whatever the batch."""
    settings = {"hidden": [8, 6], "width": 5, "seed": 3}
    mean, sample, other = (
        make({"kind": "vae", **settings, **more}, Shapes(9, (2, 500)))
        for more in ({}, {"predict": "sample"}, {"predict": "sample", "seed": 4})
    )
    for decoder in (sample, other):
        decoder.restore(mean.tensors())
    x = np.random.default_rng(0).normal(size=(6, 9)).astype(np.float32)
    found = sample.predict(x, Execution())
    w = weights(mean.network)
    code = leaky(x @ w["encoder.0.weight"].T + w["encoder.0.bias"])
    code = code @ w["encoder.2.weight"].T + w["encoder.2.bias"]
    log_variance = code @ w["log_variance.weight"].T + w["log_variance.bias"]
    noise = (found - mean.predict(x, Execution())) / np.exp(log_variance / 2)
    assert np.abs(noise.mean(axis=1)).max() < 4 / np.sqrt(1000)
    np.testing.assert_allclose(noise.std(axis=1), 1, atol=0.1)
    assert np.abs(np.corrcoef(noise) - np.eye(6)).max() < 0.15
    np.testing.assert_allclose(
        sample.predict(x[::-1].copy(), Execution(), 2)[::-1], found, atol=1e-5
    )
    assert np.abs(other.predict(x, Execution()) - found).max() > 0.1


def chebyshev(x: np.ndarray, operator: np.ndarray, terms: list[np.ndarray], bias: np.ndarray):
    """Sum of T_k(operator) x W_k over orders, by the dense recurrence on (nodes, features)."""
    polynomials = [np.eye(len(operator)), operator]
    while len(polynomials) < len(terms):
        polynomials.append(2 * operator @ polynomials[-1] - polynomials[-2])
    return bias + sum(p @ x @ w.T for p, w in zip(polynomials, terms, strict=False))


def dense_operator(wiring: Graph) -> np.ndarray:
    """Scaled Laplacian that node j applies to its in-neighbours i, from the definitions."""
    n = wiring.n_nodes
    adjacency = np.zeros((n, n))
    adjacency[wiring.edge_index[0], wiring.edge_index[1]] = wiring.edge_weight
    degree = np.abs(adjacency).sum(1)
    walk = adjacency / np.where(degree > 0, degree, 1)[:, None]
    laplacian = np.eye(n) - walk
    return (2 * laplacian / 2 - np.eye(n)).T


@pytest.mark.parametrize("order", [1, 2, 3, 4, 6])
def test_graph_convolution_is_the_dense_recurrence(order):
    torch.manual_seed(0)
    layer = gcn.GraphConvolution(5, 4, order, graph()).double()
    layer.scaled = layer.scaled.double()
    x = torch.randn(6, 3, 5, dtype=torch.float64)
    found = layer(x).detach().numpy()
    terms = [lin.weight.detach().numpy() for lin in layer.lins]
    for one, expected in zip(x.numpy(), found, strict=True):
        again = chebyshev(one, dense_operator(graph()), terms, layer.bias.detach().numpy())
        np.testing.assert_allclose(again, expected, atol=1e-6)


@pytest.mark.parametrize("both_ways", [False, True])
def test_every_edge_reaches_its_node(both_ways):
    wiring = graph()
    if both_ways:
        edges = np.concatenate([wiring.edge_index, wiring.edge_index[::-1]], axis=1)
        wiring = Graph(wiring.node_of_voxel, edges, np.tile(wiring.edge_weight, 2))
    torch.manual_seed(0)
    layer = gcn.GraphConvolution(5, 4, 4, wiring)
    x = torch.randn(1, 3, 5)
    for source, target in wiring.edge_index.T:
        changed = x.clone()
        changed[0, source] += 1
        difference = (layer(changed) - layer(x)).abs()[0, target].max()
        assert difference > 1e-3, f"edge {source} -> {target} is dead"
    if not both_ways:
        changed = x.clone()
        changed[0, 2] += 1
        assert torch.equal(layer(changed)[0, :2], layer(x)[0, :2]), "against an edge's direction"


def test_torch_geometrics_own_normalisation_loses_edges():
    """What the default is kept from; if this changes upstream, so may the default."""
    from torch_geometric.nn import ChebConv

    torch.manual_seed(0)
    layer = ChebConv(5, 4, 4, normalization="sym")
    x = torch.randn(3, 5)
    edges, edge_weights = torch.from_numpy(graph().edge_index), torch.tensor([0.9, 0.6, 0.7])
    changed = x.clone()
    changed[0] += 1
    assert torch.equal(layer(changed, edges, edge_weights)[2], layer(x, edges, edge_weights)[2])


def positive_graph() -> Graph:
    """Without negative edges, of which torch-geometric's degrees make roots of negative numbers."""
    return Graph(graph().node_of_voxel, graph().edge_index, np.abs(graph().edge_weight))


def test_the_published_normalisation_is_torch_geometrics():
    """Edges into the last node, which has none out of it, vanish; the others do not."""
    from torch_geometric.nn import ChebConv

    torch.manual_seed(0)
    wiring = positive_graph()
    layer = gcn.GraphConvolution(5, 4, 4, wiring, "sym")
    plain = ChebConv(5, 4, 4)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(2, 3, 5)
    edges, edge_weights = torch.from_numpy(wiring.edge_index), torch.from_numpy(wiring.edge_weight)
    torch.testing.assert_close(layer(x), plain(x, edges, edge_weights))
    changed = x.clone()
    changed[:, 0] += 1
    assert torch.equal(layer(changed)[:, 2], layer(x)[:, 2]), "an edge into the last node is alive"
    assert (layer(changed)[:, 1] - layer(x)[:, 1]).abs().max() > 1e-3


def test_the_gcns_normalisation_is_its_setting():
    one, other = (
        make(entry("gcn", normalisation=name), Shapes(40, (5,)), graph()).network.eval()
        for name in ("rw", "sym")
    )
    other.load_state_dict(one.state_dict())
    assert other.second.scaled.tolist()[1:] == [0, 0]
    assert (one.second.scaled != 0).all()
    assert not torch.equal(one(torch.ones(2, 40)), other(torch.ones(2, 40)))


def test_a_node_alone_and_a_graph_without_edges():
    none = np.zeros((2, 0), dtype=np.int64)
    lonely = Graph(np.zeros(40, dtype=np.int64), none, np.zeros(0, dtype=np.float32))
    network = make(entry("gcn"), Shapes(40, (5,)), lonely).network
    assert network(torch.randn(3, 40)).shape == (3, 5)


def test_gcn_forward_is_torch_geometrics_batch_of_graphs():
    """The same weights in a batch of separate graphs, pooled by torch-geometric."""
    network = make(entry("gcn"), Shapes(40, (5,)), graph()).network
    network.train()
    x = torch.randn(6, 40)
    node_of_voxel = graph().node_of_voxel
    items = []
    for one in x:
        nodes = torch.zeros(3, 18)
        for node in range(3):
            own = one[torch.from_numpy(node_of_voxel == node)]
            nodes[node, : len(own)] = own
        items.append(Data(x=nodes, edge_index=torch.from_numpy(graph().edge_index)))
    batch = Batch.from_data_list(items)
    operator = torch.from_numpy(np.kron(np.eye(6), dense_operator(graph()))).float()

    def convolution(layer, nodes):
        terms = [nodes, operator @ nodes]
        while len(terms) < len(layer.lins):
            terms.append(2 * operator @ terms[-1] - terms[-2])
        pairs = zip(layer.lins, terms, strict=False)
        return layer.bias + sum(lin(term) for lin, term in pairs)

    with torch.no_grad():
        hidden = convolution(network.first, batch.x)
        hidden = torch.nn.functional.batch_norm(hidden, None, None, training=True).relu()
        pooled = global_mean_pool(convolution(network.second, hidden), batch.batch)
        after = network.widen(pooled[:, None])
        for block in network.blocks:
            after = after + block(after)
        expected = network.head(network.hidden(network.narrow(after)[:, 0]))
        torch.testing.assert_close(network(x), expected, atol=1e-4, rtol=1e-4)


def test_voxels_of_a_node_are_its_own_then_padding():
    voxels = gcn.voxels_of_nodes(graph())
    assert voxels.shape == (3, 18)
    assert voxels[1].tolist() == [*range(18, 30), *[40] * 6]
