"""Build the graph of brain regions from training responses alone.

Reads the training responses of the area that images are decoded from, a block of samples at a
time; writes `graph.zarr`.
"""

import numpy as np

from afterimage.graphs import assign_nodes, build_graph, node_means
from afterimage.stores import open_group, read_arrays, write_arrays

BLOCK_BYTES = 64 << 20


def main(responses: str, out: str, cfg: dict) -> None:
    """Write nodes, correlations and edges.

    Parameters
    ----------
    responses : training responses of one area
    out : zarr group to write
    cfg : `nodes` (node name -> region names), `threshold` on |r|, `direction` forward or both
    """
    voxel_roi = read_arrays(responses, "voxel_roi")["voxel_roi"]
    node_of_voxel = assign_nodes(cfg["nodes"], voxel_roi)
    x = open_group(responses)["x"]
    step = max(1, BLOCK_BYTES // max(1, 4 * x.shape[1]))
    means = np.concatenate(
        [node_means(x[start : start + step], node_of_voxel) for start in range(0, x.shape[0], step)]
        or [np.zeros((0, len(cfg["nodes"])))]
    )
    graph = build_graph(cfg["nodes"], node_of_voxel, means, cfg["threshold"], cfg["direction"])
    for name, size in zip(graph.names, graph.sizes, strict=True):
        print(f"node {name}: {size} voxels")
    print(f"{len(graph.edge_weight)} edges with |r| > {cfg['threshold']}, {cfg['direction']}")
    if len(graph.names) == 1:
        print("one node: a graph without edges")
    if (node_of_voxel < 0).any():
        print(f"{(node_of_voxel < 0).sum()} of {len(node_of_voxel)} voxels are in no node")
    write_arrays(
        out,
        {
            "node_name": np.array(graph.names, dtype=str),
            "node_size": graph.sizes,
            "node_of_voxel": graph.node_of_voxel,
            "pearson": graph.pearson,
            "adjacency": graph.adjacency,
            "edge_index": graph.edge_index,
            "edge_weight": graph.edge_weight,
        },
        {
            "padded_size": graph.padded_size,
            "threshold": cfg["threshold"],
            "direction": cfg["direction"],
            "n_samples": len(means),
        },
    )


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        main(snakemake.input.responses, snakemake.output[0], snakemake.params.cfg)
