"""What was run, and on what: one line for each subject."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from afterimage.report.brain import Brain
from afterimage.report.gallery import Gallery
from afterimage.report.inputs import Placed, Subject
from afterimage.report.page import Study
from afterimage.report.words import decoder_name
from afterimage.stores import read_json

FORMATS = {"nsd": "NSD", "things": "THINGS-fMRI", "custom": "own data"}


def studies(
    cfg: Mapping[str, Any],
    brains: Mapping[Subject, Brain],
    galleries: Sequence[Gallery],
    selected: Sequence[Placed],
    models: Sequence[Placed],
) -> list[Study]:
    """One line for each subject of the config, in its order.

    Parameters
    ----------
    selected : each subject's selected.json, where a method follows it
    models : model.json of the decoders
    """
    by_subject = {gallery.subject: gallery for gallery in galleries}
    lines = []
    for dataset, entry in cfg["datasets"].items():
        for subject in entry["subjects"]:
            key = (str(dataset), str(subject))
            brain = brains.get(key, Brain(key))
            facts = {
                "Format": FORMATS.get(str(entry["settings"].get("format")), "–"),
                "Training": _training(brain),
                "Validation": _validation(_read_of(key, models)),
                "Test": _test(by_subject.get(key)),
                "Best decoder": _best(_read_of(key, selected)),
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


def _read_of(subject: Subject, files: Sequence[Placed]) -> Iterator[dict[str, Any]]:
    return (read_json(file.path) for file in files if file.subject == subject)


def _validation(models: Iterator[dict[str, Any]]) -> str:
    counts = (model["n_validation"] for model in models if "n_validation" in model)
    count = next(counts, None)
    return f"{count:,} images" if count else "–"


def _best(choices: Iterator[dict[str, Any]]) -> str:
    """What the lowest validation error chose for each target."""
    choice = next(choices, {})
    named = [
        f"{target}: {decoder_name(choice[target])}"
        for target in ("image", "text")
        if target in choice
    ]
    return ", ".join(named) or "–"


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
