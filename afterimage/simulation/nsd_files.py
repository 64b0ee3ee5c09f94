"""Writes a simulated study in the raw release layout of the Natural Scenes Dataset.

The layout is that of the public bucket: design, pictures and captions, then for each subject its
behaviour, region volumes and betas. Only the pictures of the simulated subjects are drawn; the
others' rows of the picture file stay empty, as they are never asked for.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from afterimage.errors import InputError
from afterimage.jobs import progress
from afterimage.simulation.brain import build_brain, flat_features, reference_features
from afterimage.simulation.features import generator
from afterimage.simulation.head import build_head
from afterimage.simulation.nsd_design import (
    RESPONSE_COLUMNS,
    SUBJECTS,
    Design,
    behaviour,
    build_design,
)
from afterimage.simulation.nsd_pictures import write_captions, write_pictures, write_stimulus_table
from afterimage.simulation.nsd_volumes import FORMATS, BetasWriter, millimetres, write_regions
from afterimage.simulation.scenes import Scene, sample_scene
from afterimage.simulation.truth import Truth, write_truth
from afterimage.stores import whole

DEFAULTS: dict[str, Any] = {
    "brain": "linear",
    "ncsnr": 0.4,
    "signal_share": 0.8,
    "voxels": {"V1": 150, "V2": 140, "V3": 120, "V4": 110, "ventral": 300},
    "images": 480,
    "shared_images": 24,
    "trials_per_session": 240,
    "sessions": 3,
    "picture_size": 160,
    "captions_per_image": 5,
    "betas_format": "hdf5",
}
"""Settings of a small study; `sessions` counts those that are scanned."""

SILENT = {"MST": 16, "V6": 16}
"""Regions that answer to nothing; their labels 2 and 3 are not V2 and V3."""


def write_nsd(
    raw: str | Path, truth: Mapping[str, str | Path], settings: Mapping[str, Any]
) -> None:
    """Simulate subjects of NSD.

    Parameters
    ----------
    raw : folder to write; it appears only when it is complete
    truth : subject (subj01 to subj08) -> file for its truth
    settings : `DEFAULTS`, or other values for them, and `seed`

    Raises
    ------
    InputError
        if the settings do not make an experiment
    """
    settings = {**DEFAULTS, **settings}
    if settings["betas_format"] not in FORMATS:
        raise InputError("simulate.betas_format", ", ".join(FORMATS), settings["betas_format"])
    seed = int(settings["seed"])
    numbers = {subject: _number(subject) for subject in truth}
    design = build_design(
        settings["images"],
        settings["shared_images"],
        settings["trials_per_session"],
        settings["sessions"],
        generator(seed, "nsd", "design"),
    )
    scenes = [
        sample_scene(generator(seed, "nsd", "scene", picture))
        for picture in range(design.n_pictures)
    ]
    seen = sorted({int(p) for number in numbers.values() for p in design.picture_ids(number)})
    features = dict(zip(seen, flat_features([scenes[picture] for picture in seen]), strict=True))
    with whole(raw) as root:
        _write_experiment(root, design, scenes, seen, settings)
        for subject, number in numbers.items():
            _write_subject(root, subject, number, design, scenes, features, truth, settings)


def _number(subject: str) -> int:
    known = [f"subj{number:02d}" for number in range(1, SUBJECTS + 1)]
    if subject not in known:
        raise InputError("subjects", f"one of {', '.join(known)}", repr(subject))
    return known.index(subject) + 1


def _write_experiment(
    root: Path,
    design: Design,
    scenes: Sequence[Scene],
    seen: Sequence[int],
    settings: Mapping[str, Any],
) -> None:
    from scipy.io import savemat

    experiment = root / "nsddata/experiments/nsd"
    experiment.mkdir(parents=True)
    savemat(
        experiment / "nsd_expdesign.mat",
        {
            "masterordering": design.masterordering[None].astype(np.uint16),
            "basiccnt": design.basiccnt().astype(np.uint16),
            "sharedix": design.sharedix[None].astype(np.int32),
            "subjectim": design.subjectim.astype(np.int32),
            "stimpattern": design.stimpattern,
        },
        do_compression=True,
    )
    seed = int(settings["seed"])
    origins = write_stimulus_table(
        experiment / "nsd_stim_info_merged.csv", design, generator(seed, "nsd", "coco")
    )
    stimuli = root / "nsddata_stimuli/stimuli/nsd"
    write_captions(stimuli / "annotations", origins, scenes, settings["captions_per_image"], seed)
    write_pictures(stimuli / "nsd_stimuli.hdf5", scenes, seen, settings["picture_size"])


def _write_subject(
    root: Path,
    subject: str,
    number: int,
    design: Design,
    scenes: Sequence[Scene],
    features: Mapping[int, np.ndarray],
    truth: Mapping[str, str | Path],
    settings: Mapping[str, Any],
) -> None:
    seed, n_sessions = int(settings["seed"]), int(settings["sessions"])
    head = build_head({**settings["voxels"], **SILENT}, generator(seed, "nsd", subject, "head"))
    brain = build_brain(
        settings["brain"],
        head,
        reference_features(seed, None),
        settings["ncsnr"],
        settings["signal_share"],
        generator(seed, "nsd", subject, "brain"),
        silent=tuple(SILENT),
    )
    _write_behaviour(
        root / f"nsddata/ppdata/{subject}/behav/responses.tsv",
        behaviour(design, number, n_sessions, generator(seed, "nsd", subject, "behaviour")),
    )
    write_regions(root, subject, head, brain)
    pictures = design.picture_ids(number)[: n_sessions * design.trials_per_session]
    betas = BetasWriter(root, subject, head, brain, settings["betas_format"])
    for session, shown in progress(
        list(enumerate(pictures.reshape(n_sessions, -1), start=1)), f"sessions of {subject}"
    ):
        signal = np.stack([features[int(picture)] for picture in shown])
        betas.write(session, signal, generator(seed, "nsd", subject, "noise", session))
    betas.write_noise_ceiling(pictures)
    shown_scenes = {str(p): scenes[p] for p in sorted(set(pictures.tolist()))}
    position = millimetres(brain.xyz, head.brain.shape)
    write_truth(truth[subject], Truth(brain, position, shown_scenes, seed, None))


def _write_behaviour(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    path.parent.mkdir(parents=True)
    rows = zip(*(columns[name].tolist() for name in RESPONSE_COLUMNS), strict=True)
    lines = ["\t".join(RESPONSE_COLUMNS)]
    lines += ["\t".join(map(_matlab_number, row)) for row in rows]
    path.write_text("\n".join(lines) + "\n")


def _matlab_number(value: float) -> str:
    if value != value:
        return "NaN"
    return str(int(value)) if value == int(value) else f"{value:.20g}"
