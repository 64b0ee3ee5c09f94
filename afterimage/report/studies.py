"""What was run, and on what: one line for each subject."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from afterimage.report.brain import Brain
from afterimage.report.gallery import Gallery
from afterimage.report.inputs import Subject
from afterimage.report.page import Study

FORMATS = {"nsd": "NSD", "things": "THINGS-fMRI", "custom": "own data"}


def studies(
    cfg: Mapping[str, Any], brains: Mapping[Subject, Brain], galleries: Sequence[Gallery]
) -> list[Study]:
    """One line for each subject of the config, in its order."""
    by_subject = {gallery.subject: gallery for gallery in galleries}
    lines = []
    for dataset, entry in cfg["datasets"].items():
        for subject in entry["subjects"]:
            key = (str(dataset), str(subject))
            brain = brains.get(key, Brain(key))
            facts = {
                "Format": FORMATS.get(str(entry["settings"].get("format")), "–"),
                "Training": _training(brain),
                "Test": _test(by_subject.get(key)),
                "Voxels (lower, higher)": _voxels(brain),
                "Median noise ceiling": _noise_ceiling(brain),
            }
            lines.append(Study(key[0], key[1], bool(entry["simulated"]), facts))
    return lines


def _training(brain: Brain) -> str:
    if not brain.areas:
        return "–"
    area = next(iter(brain.areas.values()))
    if area.n_samples == area.n_images:
        return f"{area.n_images:,} images"
    return f"{area.n_samples:,} trials of {area.n_images:,} images"


def _test(gallery: Gallery | None) -> str:
    return f"{len(gallery.image_ids):,} images" if gallery else "–"


def _voxels(brain: Brain) -> str:
    return ", ".join(f"{len(area.roi):,}" for area in brain.areas.values()) or "–"


def _noise_ceiling(brain: Brain) -> str:
    if brain.areas and not any(area.rated.any() for area in brain.areas.values()):
        return "no repeats"
    parts = [
        f"{np.median(area.noise_ceiling[area.rated]):.0f} %" if area.rated.any() else "–"
        for area in brain.areas.values()
    ]
    return ", ".join(parts) or "–"
