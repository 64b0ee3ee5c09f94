"""Pictures, captions and stimulus table of a simulated NSD, in the release's own files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from afterimage.jobs import progress
from afterimage.simulation.features import generator
from afterimage.simulation.nsd_design import REPEATS, SUBJECTS, Design
from afterimage.simulation.scenes import Scene, captions, draw

_COCO_IDS = 581_930


@dataclass(frozen=True)
class Origins:
    """Where the pictures come from in COCO: id and split of each, in order of picture id."""

    coco_id: np.ndarray
    split: np.ndarray


def write_stimulus_table(path: Path, design: Design, rng: np.random.Generator) -> Origins:
    """Write `nsd_stim_info_merged.csv`: a row per picture, its index and `nsdId` from 0.

    `subjectX_repN` holds the trial (from 1, over all sessions of the design), 0 if never shown.
    """
    import pandas as pd

    n = design.n_pictures
    origins = Origins(
        coco_id=rng.choice(np.arange(1, _COCO_IDS), size=n, replace=False),
        split=np.where(np.arange(n) < design.n_from_validation, "val2017", "train2017"),
    )
    shared = np.isin(np.arange(n), design.sharedix - 1)
    wide = rng.random(n) < 0.7
    margin = rng.integers(0, 64, n) / 384
    table = {
        "cocoId": origins.coco_id,
        "cocoSplit": origins.split,
        "cropBox": [_crop(*picture) for picture in zip(wide, margin, strict=True)],
        "loss": np.round(margin * 0.6, 5),
        "nsdId": np.arange(n),
        "flagged": np.zeros(n, dtype=bool),
        "BOLD5000": rng.random(n) < 0.03,
        "shared1000": shared,
    }
    shown = [_showings(design, subject) for subject in range(1, SUBJECTS + 1)]
    for subject, trials in enumerate(shown, start=1):
        table[f"subject{subject}"] = (trials[:, 0] > 0).astype(int)
    for subject, trials in enumerate(shown, start=1):
        for repeat in range(REPEATS):
            table[f"subject{subject}_rep{repeat}"] = trials[:, repeat]
    pd.DataFrame(table).to_csv(path)
    return origins


def _crop(wide: bool, share: float) -> str:
    """Fractions cut away at (top, bottom, left, right), equal on two opposite sides."""
    half = float(share) / 2
    return str((0, 0, half, half) if wide else (half, half, 0, 0))


def _showings(design: Design, subject: int) -> np.ndarray:
    """Trial numbers, from 1, at which each picture is shown, shape (n_pictures, 3)."""
    pictures = design.picture_ids(subject)
    order = np.argsort(pictures, kind="stable")
    trials = np.zeros((design.n_pictures, REPEATS), dtype=np.int64)
    trials[pictures[order][::REPEATS]] = order.reshape(-1, REPEATS) + 1
    return trials


def write_captions(
    folder: Path, origins: Origins, scenes: Sequence[Scene], n_captions: int, seed: int
) -> None:
    """Write COCO's `captions_{train,val}2017.json`; in each file one picture has a caption more."""
    folder.mkdir(parents=True)
    for split in ("train2017", "val2017"):
        members = np.flatnonzero(origins.split == split)
        annotations = []
        for place, picture in enumerate(members.tolist()):
            rng = generator(seed, "nsd", "captions", picture)
            for caption in captions(scenes[picture], rng, n_captions + (place == 0)):
                annotations.append((int(origins.coco_id[picture]), caption))
        shuffled = generator(seed, "nsd", "annotations", split).permutation(len(annotations))
        content = {
            "info": {"description": "Simulated pictures", "version": "1.0", "year": 2017},
            "licenses": [],
            "images": [_image(int(origins.coco_id[picture]), split) for picture in members],
            "annotations": [
                {
                    "image_id": annotations[row][0],
                    "id": int(row) + 1,
                    "caption": annotations[row][1],
                }
                for row in shuffled
            ],
        }
        (folder / f"captions_{split}.json").write_text(json.dumps(content))


def _image(coco_id: int, split: str) -> Mapping[str, object]:
    name = f"{coco_id:012d}.jpg"
    return {
        "license": 1,
        "file_name": name,
        "coco_url": f"http://images.cocodataset.org/{split}/{name}",
        "height": 480,
        "width": 640,
        "date_captured": "2017-01-01 00:00:00",
        "flickr_url": "",
        "id": coco_id,
    }


def write_pictures(path: Path, scenes: Sequence[Scene], drawn: Sequence[int], size: int) -> None:
    """Write `nsd_stimuli.hdf5`: `imgBrick`, uint8, (n_pictures, size, size, 3), RGB."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        shape = (len(scenes), size, size, 3)
        brick = file.create_dataset("imgBrick", shape, np.uint8, chunks=(1, *shape[1:]))
        for picture in progress(drawn, "pictures"):
            brick[picture] = draw(scenes[picture], size)
