"""Read one split's trials of one part (an NSD session) from the raw betas, for both areas.

Of the raw file, which holds every split, only the rows of the named split are taken. Memory is
bounded by one part's voxels of both areas.
"""

import numpy as np

from afterimage.datasets import open_dataset
from afterimage.stores import read_table, write_arrays


def main(trials: str, out: str, cfg: dict, subject: str, split: str, part: str, seed: int) -> None:
    """Write `lower` and `higher` (n, n_voxels) float32, `trial` (n,) and their voxels.

    Parameters
    ----------
    trials : the subject's trial table
    out : zarr group to write; it has no rows where the part has no trial of the split
    cfg : the dataset's settings
    """
    table = read_table(trials)
    wanted = table[(table["split"] == split) & (table["part"] == part)].sort_values("trial")
    rows = wanted["row"].to_numpy(np.int64)
    dataset = open_dataset(cfg, seed)
    arrays = {"trial": wanted["trial"].to_numpy(np.int64)}
    notes = {}
    for area in ("lower", "higher"):
        voxels = dataset.voxels(subject, area)
        if len(rows):
            arrays[area] = dataset.betas(subject, part, rows, voxels.index)
        else:
            arrays[area] = np.zeros((0, len(voxels.index)), np.float32)
        notes[f"{area}_notes"] = list(voxels.notes)
        arrays[f"{area}_voxel_roi"] = np.asarray(voxels.roi, dtype=str)
        arrays[f"{area}_voxel_xyz"] = np.asarray(voxels.xyz, dtype=np.float32)
        print(f"{part}, {split}, {area}: {len(rows)} trials, {len(voxels.index)} voxels")
        for note in voxels.notes:
            print(f"{area}: {note}")
    write_arrays(out, arrays, notes)


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        main(
            snakemake.input.trials,
            snakemake.output[0],
            snakemake.params.cfg["dataset"],
            snakemake.wildcards.subject,
            snakemake.wildcards.split,
            snakemake.wildcards.part,
            snakemake.params.cfg["seed"],
        )
