"""A cheap look at every THINGS-fMRI file that a config needs, before anything heavy begins."""

from collections.abc import Set
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from afterimage.datasets.interface import FileCheck, look, look_at_area, look_at_values, size_of
from afterimage.datasets.pictures import look_at_pictures
from afterimage.datasets.things_betas import describe_responses
from afterimage.datasets.things_tables import CEILING, is_in_mask_order
from afterimage.errors import InputError

if TYPE_CHECKING:
    from afterimage.datasets.things import Things

BETAS = (
    "Fetch betas_csv.zip (43 GB: https://plus.figshare.com/ndownloader/files/43635873) and unpack "
    "it in {root}: unzip betas_csv.zip -d {root}"
)
PICTURES = (
    "Accept the terms of THINGS at https://osf.io/jum2f, fetch images_THINGS.zip with the password "
    "shown there, and unpack it so that {root}/object_images/<concept>/ holds the pictures"
)
SAMPLED_VOXELS = 300
FEWEST_VOXELS = 100
FEWEST_IMAGES = 10
LEAST_AGREEMENT = 0.3
"""Rank correlation with the released ceilings below which the rows are other voxels'."""

CONCEPTS = "Fetch things_concepts.tsv from https://osf.io/jum2f into {root}"


def check_subject(data: "Things", subject: str, needs: Set[str]) -> list[FileCheck]:
    """Look at the trials and the pictures, and by need at voxels, responses and concepts."""
    stimuli = data.path(subject, "StimulusMetadata.csv")
    voxels = data.path(subject, "VoxelMetadata.csv")
    fetch_betas = _unpack(data.root, "betas_csv*.zip") or BETAS.format(root=data.root)

    def trials() -> str:
        official = data.trials(subject)["official"].value_counts()
        counts = ", ".join(f"{official[kind]:,} {kind}" for kind in ("train", "test"))
        return f"{size_of(stimuli)}, trials: {counts}"

    def voxel_table() -> str:
        table, n_columns = data.voxel_table(subject), len(data.voxel_header(subject))
        order = "" if is_in_mask_order(table) else ", not in a brain mask's order (x, y, z)"
        return f"{size_of(voxels)}, {len(table):,} voxels x {n_columns} columns{order}"

    checks = [look(stimuli, trials, "trials of training and test pictures", fetch_betas)]
    if "betas" in needs:
        columns = "a row per voxel and the regions' columns"
        checks.append(look(voxels, voxel_table, columns, fetch_betas))
        checks.append(_responses(data, subject, fetch_betas))
        if checks[1].status == "ok":
            checks += [look_at_area(data, subject, area) for area in data.settings["areas"]]
        if all(check.status == "ok" for check in checks):
            most = data.settings.get("max_bad_voxels", 1.0)
            checks += [look_at_values(data, subject, area, most) for area in data.settings["areas"]]
            checks.append(_ceilings(data, subject))
    if "captions" in needs:
        checks.append(_concepts(data, subject, checks[0].status == "ok"))
    checks.append(_pictures(data, subject, checks[0].status == "ok"))
    return checks


def _unpack(root: Path, pattern: str) -> str:
    """What to do with an archive that was fetched and not unpacked."""
    archives = sorted(root.glob(pattern))
    return f"Unpack it: unzip {archives[0]} -d {root}" if archives else ""


def _responses(data: "Things", subject: str, remedy: str) -> FileCheck:
    path = data.path(subject, "ResponseData.h5")

    def describe() -> str:
        try:
            table = data.voxel_table(subject)
            shape = len(table), len(data.stimuli(subject))
        except InputError:
            return f"{size_of(path)}, not compared with its tables"
        numbers = table["voxel_id"].to_numpy() if "voxel_id" in table else None
        return f"{size_of(path)}, {describe_responses(path, shape, numbers)}"

    return look(path, describe, "responses (voxels, trials) of floats", remedy)


def _ceilings(data: "Things", subject: str) -> FileCheck:
    """Whether rows of responses are those of the voxels: the released noise ceilings tell.

    They come from the test trials' repeats, as those computed here: their ranks agree unless the
    rows are in another order. Nothing is selected by it.
    """
    name, expected = f"{subject}: rows of responses", "noise ceilings of the released order"
    table, trials = data.voxel_table(subject), data.trials(subject)
    ceiling = table[CEILING].to_numpy(np.float64) if CEILING in table else np.zeros(0)
    known = np.flatnonzero(np.isfinite(ceiling))
    repeats = [
        rows.to_numpy()
        for _, rows in trials[trials["official"] == "test"].groupby("image_id")["row"]
    ]
    fewest = min(map(len, repeats))
    if len(known) < FEWEST_VOXELS or fewest < 2 or len(repeats) < FEWEST_IMAGES:
        return FileCheck(name, "ok", "too few to compare with the released ceilings", expected)
    index = known[np.linspace(0, len(known) - 1, SAMPLED_VOXELS).astype(int)]
    try:
        rows = np.stack([each[:fewest] for each in repeats])
        betas = data.betas(subject, "all", rows.ravel(), index).reshape(*rows.shape, len(index))
        agreement = rank_correlation(own_ceiling(betas), ceiling[index])
        found = f"ranks of their noise ceilings and of {CEILING} correlate at {agreement:.2f}"
        if agreement < LEAST_AGREEMENT:
            path = data.path(subject, "ResponseData.h5")
            hint = "Are its rows those of VoxelMetadata.csv, in that order?"
            raise InputError(path, f"{expected} (at least {LEAST_AGREEMENT})", found, hint)
    except InputError as error:
        return FileCheck(name, "bad", str(error), expected, error=error)
    return FileCheck(name, "ok", found, expected)


def own_ceiling(betas: np.ndarray) -> np.ndarray:
    """Noise ceiling in percent (n_voxels,) of repeats' means; betas (images, repeats, voxels).

    As THINGS-fMRI defines nc_testset: the variance of images beyond that of repeats.
    """
    betas = betas.astype(np.float64)
    noise = betas.var(axis=1, ddof=1).mean(axis=0) / betas.shape[1]
    signal = np.maximum(betas.mean(axis=1).var(axis=0, ddof=1) - noise, 0)
    with np.errstate(invalid="ignore"):
        return 100 * signal / (signal + noise)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation over what is finite in both."""
    from scipy.stats import spearmanr

    both = np.isfinite(a) & np.isfinite(b)
    return float(np.nan_to_num(spearmanr(a[both], b[both]).statistic))


def _shown(data: "Things", subject: str) -> list[str]:
    return sorted(set(data.trials(subject)["image_id"]))


def _concepts(data: "Things", subject: str, trials_are_well: bool) -> FileCheck:
    path = data.concepts_path

    def describe() -> str:
        if not trials_are_well:
            return size_of(path)
        texts = {data.captions(image_id)[0] for image_id in _shown(data, subject)}
        return f"{size_of(path)}, {len(texts):,} different texts for the pictures shown"

    return look(path, describe, "a row per concept shown", CONCEPTS.format(root=data.root))


def _pictures(data: "Things", subject: str, trials_are_well: bool) -> FileCheck:
    remedy = _unpack(data.root, "*images*.zip") or PICTURES.format(root=data.root)

    def describe() -> str:
        if not trials_are_well:
            return "a folder"
        paths = [data.image_path(image_id) for image_id in _shown(data, subject)]
        return look_at_pictures(paths, photographs=True)

    return look(data.images_path, describe, "every picture shown", remedy)
