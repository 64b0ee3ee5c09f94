"""A cheap look at every THINGS-fMRI file that a config needs, before anything heavy begins."""

from pathlib import Path
from typing import TYPE_CHECKING

from afterimage.datasets.interface import FileCheck, look, look_at_area, look_at_values, size_of
from afterimage.datasets.pictures import look_at_pictures
from afterimage.datasets.things_betas import describe_responses
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
CONCEPTS = "Fetch things_concepts.tsv from https://osf.io/jum2f into {root}"


def check_subject(data: "Things", subject: str) -> list[FileCheck]:
    """Look at the trials, the voxels, the responses, the pictures and the concepts."""
    stimuli = data.path(subject, "StimulusMetadata.csv")
    voxels = data.path(subject, "VoxelMetadata.csv")
    fetch_betas = _unpack(data.root, "betas_csv*.zip") or BETAS.format(root=data.root)

    def trials() -> str:
        official = data.trials(subject)["official"].value_counts()
        counts = ", ".join(f"{official[kind]:,} {kind}" for kind in ("train", "test"))
        return f"{size_of(stimuli)}, trials: {counts}"

    def voxel_table() -> str:
        n_voxels, n_columns = len(data.voxel_table(subject)), len(data.voxel_header(subject))
        return f"{size_of(voxels)}, {n_voxels:,} voxels x {n_columns} columns"

    checks = [
        look(stimuli, trials, "trials of training and test pictures", fetch_betas),
        look(voxels, voxel_table, "a row per voxel and the regions' columns", fetch_betas),
        _responses(data, subject, fetch_betas),
    ]
    if checks[1].status == "ok":
        checks += [look_at_area(data, subject, area) for area in data.settings["areas"]]
    if all(check.status == "ok" for check in checks):
        most = data.settings.get("max_bad_voxels", 1.0)
        checks += [look_at_values(data, subject, area, most) for area in data.settings["areas"]]
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
            shape = len(data.voxel_table(subject)), len(data.stimuli(subject))
        except InputError:
            return f"{size_of(path)}, not compared with its tables"
        return f"{size_of(path)}, {describe_responses(path, shape)}"

    return look(path, describe, "responses (voxels, trials) of floats", remedy)


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
        return look_at_pictures([data.image_path(image_id) for image_id in _shown(data, subject)])

    return look(data.images_path, describe, "every picture shown", remedy)
