"""Writes a simulated study in the raw release layout of THINGS-fMRI (the `betas_csv` tables)."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from afterimage.errors import InputError
from afterimage.simulation.brain import Brain, build_brain, flat_features, reference_features
from afterimage.simulation.features import generator
from afterimage.simulation.head import build_head
from afterimage.simulation.scenes import Scene, draw, sample_scene
from afterimage.simulation.things_design import Picture, Trial, build_trials, name_pictures
from afterimage.simulation.things_tables import rows_of, trial_table, voxel_table, write_concepts
from afterimage.simulation.truth import Truth, write_truth
from afterimage.stores import whole

DEFAULTS: dict[str, Any] = {
    "brain": "linear",
    "ncsnr": 0.4,
    "signal_share": 0.8,
    "voxels": {
        "V1": 150,
        "V2": 140,
        "V3": 120,
        "hV4": 110,
        "VO1": 50,
        "VO2": 40,
        "TO1": 40,
        "TO2": 40,
        "FFA": 50,
        "PPA": 50,
        "LOC": 70,
    },
    "train_images": 480,
    "test_images": 24,
    "sessions": 12,
    "runs": 2,
    "picture_size": 160,
}
"""Settings of a small study; a test picture is shown once in each session."""

_JPEG_QUALITY = 95


def write_things(
    raw: str | Path, truth: Mapping[str, str | Path], settings: Mapping[str, Any]
) -> None:
    """Simulate subjects of THINGS-fMRI.

    Parameters
    ----------
    raw : folder to write; it appears only when it is complete
    truth : subject (sub-01 and so on) -> file for its truth
    settings : `DEFAULTS`, or other values for them, and `seed`

    Raises
    ------
    InputError
        if the settings do not make an experiment
    """
    settings = {**DEFAULTS, **settings}
    seed = int(settings["seed"])
    pictures = name_pictures(settings["train_images"], settings["test_images"])
    scenes = {
        picture.name: sample_scene(
            generator(seed, "things", "scene", picture.name), n_things=1, kind=picture.concept
        )
        for picture in pictures
    }
    features = dict(zip(scenes, flat_features(list(scenes.values())), strict=True))
    with whole(raw) as root:
        write_concepts(root / "things_concepts.tsv")
        _write_pictures(root / "images/object_images", pictures, scenes, settings["picture_size"])
        (root / "betas_csv").mkdir()
        for subject, file in truth.items():
            brain = _write_subject(root / "betas_csv", subject, pictures, features, settings)
            write_truth(file, Truth(brain, brain.xyz, scenes, seed, 1))


def _write_pictures(
    folder: Path, pictures: Sequence[Picture], scenes: Mapping[str, Scene], size: int
) -> None:
    from PIL import Image

    for picture in pictures:
        path = folder / picture.concept / f"{picture.name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(scenes[picture.name], size)).save(path, quality=_JPEG_QUALITY)


def _write_subject(
    folder: Path,
    subject: str,
    pictures: Sequence[Picture],
    features: Mapping[str, np.ndarray],
    settings: Mapping[str, Any],
) -> Brain:
    seed, number = int(settings["seed"]), _number(subject)
    head = build_head(settings["voxels"], generator(seed, "things", subject, "head"))
    brain = build_brain(
        settings["brain"],
        head,
        reference_features(seed, 1),
        settings["ncsnr"],
        settings["signal_share"],
        generator(seed, "things", subject, "brain"),
    )
    trials = build_trials(
        list(pictures),
        settings["sessions"],
        settings["runs"],
        generator(seed, "things", subject, "trials"),
    )
    signal = np.stack([features[trial.picture.name] for trial in trials])
    rng = generator(seed, "things", subject, "noise")
    betas = rng.standard_normal((len(trials), int(head.brain.sum())))
    betas[:, rows_of(head, brain)] = brain.trials(signal, rng)
    table = voxel_table(head, brain, number, _ceilings(betas, trials))
    table.to_csv(folder / f"{subject}_VoxelMetadata.csv", index=False)
    trial_table(trials, number).to_csv(folder / f"{subject}_StimulusMetadata.csv", index=False)
    write_responses(folder / f"{subject}_ResponseData.h5", betas.T)
    return brain


def _number(subject: str) -> int:
    prefix, _, number = subject.partition("-")
    if prefix != "sub" or not number.isdigit():
        raise InputError("subjects", "a name such as sub-01", repr(subject))
    return int(number)


def _ceilings(betas: np.ndarray, trials: Sequence[Trial]) -> np.ndarray:
    """Noise ceilings in percent and split-half reliabilities, from the test pictures' repeats.

    Returns
    -------
    shape (4, n_voxels): one trial, mean of all repeats, split halves, the same corrected
    """
    shown: dict[str, list[int]] = {}
    for index, trial in enumerate(trials):
        if trial.picture.part == "test":
            shown.setdefault(trial.picture.name, []).append(index)
    repeats = betas[np.array(list(shown.values()))]
    n = repeats.shape[1]
    noise = repeats.var(1, ddof=1).mean(0) if n > 1 else np.full(betas.shape[1], np.nan)
    signal = np.maximum(repeats.mean(1).var(0, ddof=1) - noise / n, 0)
    one, all_repeats = (100 * signal / (signal + noise / count) for count in (1, n))
    halves = [repeats[:, start::2].mean(1) for start in (0, 1)] if n > 1 else [repeats[:, 0]] * 2
    a, b = ((half - half.mean(0)) / half.std(0) for half in halves)
    reliability = (a * b).mean(0)
    corrected = 2 * reliability / np.maximum(1 + reliability, 1e-3)
    return np.stack([one, all_repeats, reliability, corrected])


def write_responses(path: Path, values: np.ndarray, release_order: bool = True) -> None:
    """Write `ResponseData.h5`: a pandas frame in fixed format, rows voxels, columns trials.

    The frame's first column is `voxel_id`, the others are the numbers of the trials.

    Parameters
    ----------
    values : float64, shape (n_voxels, n_trials)
    release_order : put the values into `block0` as the release does; else `voxel_id` comes there,
        as other versions of pandas write it
    """
    import pandas as pd

    numbers = pd.DataFrame({"voxel_id": np.arange(len(values))})
    frame = pd.DataFrame(values)
    if release_order:
        frame.insert(0, "voxel_id", numbers["voxel_id"])
    else:
        frame = pd.concat([numbers, frame], axis=1)
    with warnings.catch_warnings():
        # Mixed column names are the release's own.
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)
        frame.to_hdf(path, key="ResponseData", mode="w")
