"""build_graph on a small response file."""

import numpy as np
import pytest

from afterimage.errors import InputError
from afterimage.stores import read_arrays, read_attributes, write_arrays
from workflow_scripts import build_graph

ROI = np.array(["V1"] * 4 + ["V2"] * 3 + ["V3"] * 2 + ["V4"])
CFG = {
    "nodes": {"V1": ["V1"], "V2": ["V2"], "V3V4": ["V3", "V4"]},
    "threshold": 0.5,
    "direction": "forward",
}


@pytest.fixture
def responses(tmp_path):
    """V1 and V2 share a signal; V3 and V4 have another."""
    rng = np.random.default_rng(0)
    shared, other = rng.normal(size=(2, 100, 1))
    x = rng.normal(size=(100, 10)) * 0.3
    x[:, :7] += shared
    x[:, 7:] += other
    write_arrays(
        tmp_path / "train.zarr", {"x": x.astype(np.float32), "voxel_roi": ROI}, {"split": "train"}
    )
    return tmp_path, x


def test_nodes_and_edges(responses, monkeypatch):
    folder, x = responses
    monkeypatch.setattr(build_graph, "BLOCK_BYTES", 1000)
    build_graph.main(str(folder / "train.zarr"), str(folder / "graph.zarr"), CFG)
    graph = read_arrays(folder / "graph.zarr")
    assert graph["node_name"].tolist() == ["V1", "V2", "V3V4"]
    assert graph["node_size"].tolist() == [4, 3, 3]
    assert graph["node_of_voxel"].tolist() == [0] * 4 + [1] * 3 + [2] * 3
    means = np.stack([x[:, :4].mean(1), x[:, 4:7].mean(1), x[:, 7:].mean(1)])
    np.testing.assert_allclose(graph["pearson"], np.corrcoef(means), atol=1e-6)
    assert graph["edge_index"].tolist() == [[0], [1]]
    assert graph["edge_index"].dtype == np.int64
    assert graph["edge_weight"][0] == pytest.approx(np.corrcoef(means)[0, 1], abs=1e-6)
    assert graph["adjacency"][0, 1] == graph["pearson"][0, 1]
    assert np.count_nonzero(graph["adjacency"]) == 1
    assert read_attributes(folder / "graph.zarr")["padded_size"] == 4


def test_one_node_is_allowed_and_said(responses, capsys):
    folder, _ = responses
    cfg = {**CFG, "nodes": {"all": ["V1", "V2", "V3"]}}
    build_graph.main(str(folder / "train.zarr"), str(folder / "graph.zarr"), cfg)
    graph = read_arrays(folder / "graph.zarr")
    assert graph["edge_index"].shape == (2, 0)
    assert graph["node_of_voxel"].tolist() == [0] * 9 + [-1]
    out = capsys.readouterr().out
    assert "one node: a graph without edges" in out
    assert "1 of 10 voxels are in no node" in out


def test_an_unknown_region_leaves_no_file(responses):
    folder, _ = responses
    cfg = {**CFG, "nodes": {"V1": ["V1"], "hV4": ["hV4"]}}
    with pytest.raises(InputError, match="did you mean 'V4'"):
        build_graph.main(str(folder / "train.zarr"), str(folder / "graph.zarr"), cfg)
    assert not (folder / "graph.zarr").exists()
