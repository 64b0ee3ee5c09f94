"""Graphs: node assignment, correlations against other implementations, edges, padding."""

import numpy as np
import pytest
from scipy import stats

from afterimage.errors import InputError
from afterimage.graphs import assign_nodes, build_graph, connect, node_means, pad_nodes, pearson

ROI = np.array(["V1", "V1", "V2", "V3", "V4", "V4", "V4", "V2"])
NODES = {"V1": ["V1"], "V2": ["V2"], "V3V4": ["V3", "V4"]}


def test_nodes_unite_regions_in_the_order_of_the_configuration():
    assert assign_nodes(NODES, ROI).tolist() == [0, 0, 1, 2, 2, 2, 2, 1]
    assert assign_nodes({"late": ["V4"], "early": ["V1"]}, ROI).tolist() == [
        1, 1, -1, -1, 0, 0, 0, -1,
    ]  # fmt: skip


def test_unknown_doubled_and_missing_regions():
    with pytest.raises(InputError, match=r"graph.nodes.a: .* found 'V33'. did you mean 'V3'"):
        assign_nodes({"a": ["V33"]}, ROI)
    with pytest.raises(InputError, match="'V1' in 'a' too"):
        assign_nodes({"a": ["V1"], "b": ["V2", "V1"]}, ROI)
    with pytest.raises(InputError, match="at least one region"):
        assign_nodes({"a": []}, ROI)
    with pytest.raises(InputError, match="at least one node"):
        assign_nodes({}, ROI)


def test_node_means_and_correlation_against_numpy_and_scipy():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(200, 8)) + rng.normal(size=(200, 1))).astype(np.float32) + 50
    nodes = assign_nodes(NODES, ROI)
    means = node_means(x, nodes)
    for node, name in enumerate([[0, 1], [2, 7], [3, 4, 5, 6]]):
        np.testing.assert_allclose(means[:, node], x[:, name].astype(np.float64).mean(axis=1))
    ours = pearson(means, list(NODES))
    np.testing.assert_allclose(ours, np.corrcoef(means.T), atol=1e-12)
    assert ours[0, 2] == pytest.approx(stats.pearsonr(means[:, 0], means[:, 2]).statistic)
    np.testing.assert_array_equal(ours, ours.T)
    np.testing.assert_array_equal(np.diag(ours), 1)


def test_correlation_in_closed_form():
    t = np.arange(4.0)
    # Centred, t is (-3,-1,1,3)/2 and the second column (1,-1,-1,1): orthogonal.
    means = np.stack([t, 3 - 2 * t, np.array([1.0, 0, 0, 1]), t + np.array([1, 0, 0, 1])], axis=1)
    expected = np.sqrt(5 / 6)
    correlation = pearson(means, list("abcd"))
    assert correlation[0, 1] == pytest.approx(-1)
    assert correlation[0, 2] == pytest.approx(0)
    assert correlation[0, 3] == pytest.approx(expected)


def test_padding_does_not_change_the_correlation():
    """The report takes means over zero-padded nodes: each is ours times its own constant."""
    x = np.random.default_rng(0).normal(size=(50, 8))
    nodes = assign_nodes(NODES, ROI)
    padded = pad_nodes(x, nodes)
    assert padded.shape == (50, 3, 4)
    np.testing.assert_array_equal(padded[:, 0], np.pad(x[:, :2], ((0, 0), (0, 2))))
    np.testing.assert_array_equal(padded[:, 1], np.pad(x[:, [2, 7]], ((0, 0), (0, 2))))
    np.testing.assert_array_equal(padded[:, 2], x[:, 3:7])
    np.testing.assert_allclose(
        pearson(padded.mean(axis=2), list(NODES)), pearson(node_means(x, nodes), list(NODES))
    )


CORRELATION = np.array([[1, 0.6, -0.7], [0.6, 1, 0.5], [-0.7, 0.5, 1]])


def test_edges_forward():
    adjacency, edge_index, weight = connect(CORRELATION, 0.5, "forward")
    assert edge_index.dtype == np.int64
    assert edge_index.tolist() == [[0, 0], [1, 2]]
    np.testing.assert_allclose(weight, [0.6, -0.7])
    np.testing.assert_array_equal(adjacency, [[0, 0.6, -0.7], [0, 0, 0], [0, 0, 0]])


def test_edges_both_ways_and_without_threshold():
    adjacency, edge_index, _ = connect(CORRELATION, 0.5, "both")
    assert sorted(map(tuple, edge_index.T.tolist())) == [(0, 1), (0, 2), (1, 0), (2, 0)]
    np.testing.assert_array_equal(adjacency, adjacency.T)
    _, edge_index, _ = connect(CORRELATION, 0.0, "both")
    assert edge_index.shape == (2, 6)
    assert (edge_index[0] != edge_index[1]).all()


def test_unknown_direction():
    with pytest.raises(InputError, match="did you mean 'forward'"):
        connect(CORRELATION, 0.5, "foward")


def test_one_node_has_no_edges():
    x = np.random.default_rng(0).normal(size=(10, 8))
    nodes = {"all": ["V1", "V2", "V3", "V4"]}
    member = assign_nodes(nodes, ROI)
    graph = build_graph(nodes, member, node_means(x, member), 0.5, "forward")
    assert graph.edge_index.shape == (2, 0)
    assert graph.edge_weight.shape == (0,)
    assert graph.padded_size == 8
    np.testing.assert_array_equal(graph.pearson, [[1]])


@pytest.mark.parametrize(
    ("column", "said"),
    [(np.full(10, 2.0), "vary"), (np.r_[np.nan, np.arange(9)], "finite")],
)
def test_a_node_without_variance_is_an_error_that_names_it(column, said):
    means = np.stack([np.arange(10.0), column], axis=1)
    with pytest.raises(InputError, match=f"graph node 'flat': expected .*{said}"):
        pearson(means, ["good", "flat"])


def test_too_few_samples():
    with pytest.raises(InputError, match="at least 3 training samples"):
        pearson(np.eye(2), ["a", "b"])
