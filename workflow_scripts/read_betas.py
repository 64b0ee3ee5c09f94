"""Read one part's trials (an NSD session's) from the raw betas, for both areas, split by split.

A voxel that both areas hold is read once, for all trials; each split's file takes its own rows.
A voxel that is the same in all training trials of a part has no data there (NSD writes zeros) and
becomes NaN in the files of all splits: the normalisation drops and counts it. Memory is bounded by
one part's voxels of both areas.
"""

import numpy as np

from afterimage.datasets import open_dataset
from afterimage.responses import constant_voxels
from afterimage.stores import read_table, write_arrays

FEWEST_TRIALS = 2
"""Of one training trial every voxel is "the same in all of them"."""


def main(
    trials: str, outputs: dict[str, str], cfg: dict, subject: str, part: str, seed: int
) -> None:
    """Write `lower` and `higher` (n, n_voxels) float32, `trial` (n,) and their voxels.

    Parameters
    ----------
    trials : the subject's trial table
    outputs : split -> zarr group to write; it has no rows where the part has no trial of the split
    cfg : the dataset's settings
    """
    table = read_table(trials)
    table = table[(table["part"] == part) & table["split"].isin(list(outputs))]
    table = table.sort_values("trial")
    dataset = open_dataset(cfg, seed)
    voxels = {area: dataset.voxels(subject, area) for area in ("lower", "higher")}
    index = np.unique(np.concatenate([area.index for area in voxels.values()]))
    rows = table["row"].to_numpy(np.int64)
    if len(rows):
        betas = dataset.betas(subject, part, rows, index)
    else:
        betas = np.zeros((0, len(index)), np.float32)
    empty = np.zeros(len(index), dtype=bool)
    training = (table["split"] == "train").to_numpy()
    if training.sum() >= FEWEST_TRIALS:
        empty = constant_voxels(betas[training])
        betas[:, empty] = np.nan
    for split, out in outputs.items():
        mine = (table["split"] == split).to_numpy()
        arrays = {"trial": table["trial"].to_numpy(np.int64)[mine]}
        notes = {}
        for area, chosen in voxels.items():
            arrays[area] = betas[mine][:, np.searchsorted(index, chosen.index)]
            notes[f"{area}_notes"] = list(chosen.notes)
            arrays[f"{area}_voxel_roi"] = np.asarray(chosen.roi, dtype=str)
            arrays[f"{area}_voxel_xyz"] = np.asarray(chosen.xyz, dtype=np.float32)
        write_arrays(out, arrays, notes)
        print(f"{part}, {split}: {mine.sum()} trials")
    for area, chosen in voxels.items():
        lost = np.flatnonzero(empty[np.searchsorted(index, chosen.index)])
        if len(lost):
            first = f"{chosen.roi[lost[0]]} at {np.round(chosen.xyz[lost[0]], 1).tolist()}"
            print(
                f"{area}: {len(lost)} voxels without data in {part} (the same in every training "
                f"trial), the first in {first}"
            )
        for note in chosen.notes:
            print(f"{area}: {note}")


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        main(
            snakemake.input.trials,
            dict(snakemake.output.items()),
            snakemake.params.cfg["dataset"],
            snakemake.wildcards.subject,
            snakemake.wildcards.part,
            snakemake.params.cfg["seed"],
        )
