"""Which objects of NSD's public bucket a config needs, and nothing else."""

from collections.abc import Mapping, Set
from typing import Any

from afterimage.datasets.nsd import EXPERIMENT, NSD
from afterimage.datasets.nsd_stimuli import STIMULI
from afterimage.datasets.regions import all_regions
from afterimage.errors import InputError
from afterimage.needs import EVERYTHING

TERMS = "https://naturalscenesdataset.org"


def needed_objects(
    settings: Mapping[str, Any], needs: Set[str] = EVERYTHING
) -> list[tuple[str, ...]]:
    """Keys in the bucket, which are paths below `root`, for all subjects of a dataset.

    Each is a tuple of alternatives: the first that the bucket has is fetched. COCO's captions are
    not in the bucket.
    """
    data = NSD(settings)
    objects: list[tuple[str, ...]] = [
        (f"{EXPERIMENT}/nsd_expdesign.mat",),
        (f"{STIMULI}/nsd_stimuli.hdf5",),
    ]
    if "captions" in needs:
        objects.append((f"{EXPERIMENT}/nsd_stim_info_merged.csv",))
    regions = all_regions(settings)
    prefixes = {"both": "", "left": "lh.", "right": "rh."}
    for subject in settings["subjects"]:
        objects.append((f"nsddata/ppdata/{subject}/behav/responses.tsv",))
        if "betas" not in needs:
            continue
        for atlas in dict.fromkeys(region["atlas"] for region in regions):
            volume = f"{prefixes[data.hemisphere]}{atlas}.nii.gz"
            objects.append((f"nsddata/ppdata/{subject}/{data.space}/roi/{volume}",))
            if any(region["atlas"] == atlas and region.get("labels") for region in regions):
                tables = [
                    f"nsddata/freesurfer/{owner}/label/{atlas}.mgz.ctab"
                    for owner in (subject, "fsaverage")
                ]
                objects.append(tuple(tables))
        folder = f"nsddata_betas/ppdata/{subject}/{data.space}/{data.version}"
        for session in data.sessions(subject):
            name = f"{folder}/betas_session{session:02d}"
            objects.append((f"{name}.hdf5", f"{name}.nii.gz"))
    return objects


def require_terms(settings: Mapping[str, Any], name: str) -> None:
    """Raise InputError unless the config says that the NSD terms were accepted."""
    if settings.get("accept_nsd_terms") is not True:
        raise InputError(
            f"datasets: {name}: accept_nsd_terms",
            "true, once you have accepted the NSD Terms and Conditions",
            str(settings.get("accept_nsd_terms", "nothing")).lower(),
            f"Read and accept them at {TERMS}, then set it.",
        )
