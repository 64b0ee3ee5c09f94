"""Join a split's betas of all parts into the responses that decoders train on or are tested on.

Training: bad voxels dropped, voxels normalised, noise ceilings from repeated training images.
Validation and test: the training file's voxels and statistics, averaged over the repeats that
exist. One area is held in memory at a time: for training its trials x voxels float32 matrix (one
gigabyte at NSD's true size), else its images x voxels sums.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from afterimage.errors import InputError
from afterimage.jobs import progress
from afterimage.responses import (
    SESSION_ARRAYS,
    Normalisation,
    RepeatAverage,
    fill_not_finite,
    noise_ceiling,
    normalise_by_own_scalar,
    own_scalar,
    signal_to_noise,
)
from afterimage.stores import read_arrays, read_attributes, read_table, write_arrays

AREAS = ("lower", "higher")


def main(
    trials: str,
    betas: list[str],
    training: list[str],
    out_lower: str,
    out_higher: str,
    split: str,
    cfg: dict,
    what: str = "responses",
) -> None:
    """Write the responses of one split, both areas.

    Parameters
    ----------
    trials : the subject's trial table
    betas : the split's betas, a group per part
    training : training responses of the lower and the higher area; empty for the training split
    out_lower, out_higher : zarr groups to write
    cfg : `normalise` (voxel, voxel_session or scalar), `max_bad_voxels` (share),
        `min_noise_ceiling` (percent of a single trial's variance, or null), `train_samples`
        (trials or averages)
    what : dataset and subject, for messages
    """
    table = read_table(trials)
    table = table[table["split"] == split].sort_values("trial").reset_index(drop=True)
    _check_trials(table, betas, f"{what}, {split}")
    for number, (area, out) in enumerate(zip(AREAS, (out_lower, out_higher), strict=True)):
        name = f"{what}, {area} area, {split}"
        if split == "train":
            arrays, attributes = _training(table, betas, area, cfg, name)
        else:
            arrays, attributes = _held_out(table, betas, area, training[number], cfg, name)
        print(f"{name}: {arrays['x'].shape[0]} samples, {arrays['x'].shape[1]} voxels")
        notes = read_attributes(betas[0]).get(f"{area}_notes", [])
        write_arrays(out, arrays, {"area": area, "split": split, "notes": notes, **attributes})
        del arrays  # or two areas would be in memory at once


def _check_trials(table: pd.DataFrame, betas: list[str], what: str) -> None:
    """Every trial of the split is in exactly one part, and no other trial is."""
    found = np.concatenate(
        [np.zeros(0, np.int64), *(read_arrays(part, "trial")["trial"] for part in betas)]
    )
    expected = table["trial"].to_numpy()
    if not np.array_equal(np.sort(found), expected):
        wrong = np.setxor1d(found, expected)
        raise InputError(
            what,
            f"{len(expected)} trials, each once, in {len(betas)} parts",
            f"{len(found)} trials{f', trial {wrong[0]} out of place' if len(wrong) else ''}",
            "Run read_betas again.",
        )


def _parts(
    table: pd.DataFrame, betas: list[str], area: str
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every part's betas (n, n_voxels) and the rows of the table that they belong to."""
    for part in progress(betas, f"{area} area, parts read"):
        values = read_arrays(part, "trial", area)
        if len(values["trial"]):
            yield values[area], np.searchsorted(table["trial"].to_numpy(), values["trial"])


def _voxels(betas: list[str], area: str, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Region names and coordinates of the area's voxels, the same in every part."""
    roi, xyz = f"{area}_voxel_roi", f"{area}_voxel_xyz"
    first = read_arrays(betas[0], roi, xyz)
    for part in betas[1:]:
        other = read_arrays(part, roi, xyz)
        if not np.array_equal(first[roi], other[roi]) or not np.array_equal(
            first[xyz], other[xyz], equal_nan=True
        ):
            raise InputError(part, f"the voxels of {betas[0]}", f"other voxels ({what})")
    return first[roi], first[xyz]


def _training(
    table: pd.DataFrame, betas: list[str], area: str, cfg: dict, what: str
) -> tuple[dict, dict]:
    roi, xyz = _voxels(betas, area, what)
    session = table["session"].to_numpy()
    image_id = table["image_id"].to_numpy(dtype=str)
    x = np.empty((len(table), len(roi)), np.float32)
    for values, rows in _parts(table, betas, area):
        x[rows] = values
    normalisation = Normalisation.fit(x, session, cfg["normalise"], cfg["max_bad_voxels"], what)
    x = normalisation.apply(x, session, what)
    ncsnr = signal_to_noise(x, image_id)
    if cfg["min_noise_ceiling"] is not None:
        good = _select(ncsnr, cfg["min_noise_ceiling"], what)
        x, ncsnr, normalisation = x[:, good], ncsnr[good], normalisation.select(good)
    n_averaged = np.ones(len(x), np.int64)
    if cfg["train_samples"] == "averages":
        average = RepeatAverage(image_id, x.shape[1])
        average.add(x, image_id)
        x, image_id, n_averaged = average.mean(), average.image_id, average.count
        session = np.full(len(x), -1)
    arrays = {
        "x": x,
        "image_id": image_id,
        "n_trials_averaged": n_averaged,
        "session": session.astype(np.int64),
        "voxel_roi": roi[normalisation.kept],
        "voxel_xyz": xyz[normalisation.kept],
        "voxel_ncsnr": ncsnr.astype(np.float32),
        "voxel_noise_ceiling": noise_ceiling(ncsnr, n_averaged).astype(np.float32),
        **normalisation.arrays(),
    }
    return arrays, {"normalise": cfg["normalise"], "n_trials": len(table)}


def _select(ncsnr: np.ndarray, least: float, what: str) -> np.ndarray:
    ceiling = noise_ceiling(ncsnr, 1)
    if np.isnan(ceiling).all():
        raise InputError(
            what,
            "repeated training images, to select voxels by noise ceiling",
            "none",
            "Set responses.min_noise_ceiling to null.",
        )
    good = ceiling >= least
    print(f"{what}: {good.sum()} of {len(good)} voxels reach a noise ceiling of {least}%")
    if not good.any():
        raise InputError(
            what,
            f"voxels with a noise ceiling of at least {least}%",
            f"{ceiling.max():.1f}% at most",
            "Lower responses.min_noise_ceiling.",
        )
    return good


def _held_out(
    table: pd.DataFrame, betas: list[str], area: str, training: str, cfg: dict, what: str
) -> tuple[dict, dict]:
    method = read_attributes(training)["normalise"]
    names = "voxel_roi", "voxel_xyz", "voxel_ncsnr", "voxel_kept", "voxel_mean", "voxel_std"
    sessions = SESSION_ARRAYS if method == "voxel_session" else ()
    fitted = read_arrays(training, *names, *sessions)
    normalisation = Normalisation.from_arrays(method, fitted)
    roi, _ = _voxels(betas, area, what)
    if len(roi) != len(normalisation.kept):
        raise InputError(what, f"{len(normalisation.kept)} voxels as in {training}", str(len(roi)))
    session = table["session"].to_numpy()
    image_id = table["image_id"].to_numpy(dtype=str)
    average = RepeatAverage(image_id, int(normalisation.kept.sum()))
    for values, rows in _parts(table, betas, area):
        average.add(normalisation.apply(values, session[rows], what), image_id[rows])
    x = average.mean()
    std, mean = normalisation.to_percent(session, image_id)
    if method == "scalar":
        own_mean, own_std = own_scalar(x)
        std, mean = std * own_std, mean + std * own_mean
        x = normalise_by_own_scalar(x)
    fill_not_finite(x, cfg["max_bad_voxels"], what)
    ncsnr = fitted["voxel_ncsnr"].astype(np.float64)
    arrays = {
        "x": x,
        "image_id": average.image_id,
        "n_trials_averaged": average.count,
        "session": np.full(len(x), -1, np.int64),
        **{name: fitted[name] for name in names},
        # What makes percent signal change of x again; per image where sessions differ.
        "voxel_mean": mean.astype(np.float32),
        "voxel_std": std.astype(np.float32),
        "voxel_noise_ceiling": noise_ceiling(ncsnr, average.count).astype(np.float32),
    }
    return arrays, {"normalise": method, "n_trials": len(table)}


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        main(
            snakemake.input.trials,
            list(snakemake.input.betas),
            list(snakemake.input.training),
            snakemake.output.lower,
            snakemake.output.higher,
            snakemake.wildcards.split,
            snakemake.params.cfg,
            f"{snakemake.wildcards.dataset} {snakemake.wildcards.subject}",
        )
