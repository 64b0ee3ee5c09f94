"""Real fMRI as your own data: digit69 (100 handwritten sixes and nines) as `format: custom`.

    python -m tests.digit69 digit69_28x28.mat results/digit69

Five splits of 80 training and 20 test trials, as five "subjects" split1 to split5 that share the
responses, the pictures and the captions; each trial is tested once. All voxels are one region.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

SPLITS = 5
NAMES = {1: "six", 2: "nine"}


def convert(source: str | Path, root: str | Path, seed: int = 0) -> dict[str, Any]:
    """Write the folder that docs/data.md describes, and return its entry for the config.

    Parameters
    ----------
    source : digit69_28x28.mat: fmriTrn (90, 3092), fmriTest (10, 3092), stimTrn, stimTest
        (trials, 784) uint8 in MATLAB's column order, labelTrn, labelTest (1 six, 2 nine)
    """
    from PIL import Image
    from scipy.io import loadmat

    content, root = loadmat(source), Path(root)
    responses, pictures, labels = (
        np.concatenate([content[f"{name}Trn"], content[f"{name}Test"]])
        for name in ("fmri", "stim", "label")
    )
    labels = labels.ravel().astype(int)
    ids = [f"digit{number:03d}" for number in range(len(labels))]
    (root / "images").mkdir(parents=True, exist_ok=True)
    for image_id, picture in zip(ids, pictures, strict=True):
        Image.fromarray(picture.reshape(28, 28).T).save(root / "images" / f"{image_id}.png")
    captions = [f"{i},a handwritten {NAMES[n]}" for i, n in zip(ids, labels, strict=True)]
    _write_lines(root / "captions.csv", ["image_id,caption", *captions])
    fold = _folds(labels, seed)
    subjects = [f"split{number + 1}" for number in range(SPLITS)]
    for number, subject in enumerate(subjects):
        folder = root / subject
        folder.mkdir(exist_ok=True)
        np.save(folder / "responses.npy", responses.astype(np.float32))
        rows = [
            f"{trial},{image_id},1,1,{'test' if fold[trial] == number else 'train'}"
            for trial, image_id in enumerate(ids)
        ]
        _write_lines(folder / "trials.csv", ["trial,image_id,session,run,split", *rows])
        voxels = [f"{voxel},1" for voxel in range(responses.shape[1])]
        _write_lines(folder / "voxels.csv", ["voxel,visual", *voxels])
    area = {"regions": {"visual": {"columns": ["visual"]}}, "expected_voxels": None}
    return {
        "format": "custom",
        "root": str(root),
        "subjects": subjects,
        "text": "captions",
        "train_samples": "trials",
        "split": {"scheme": "official", "validation_fraction": 0.1},
        "areas": {"lower": area, "higher": area},
        "inputs": {"image": "lower", "text": "higher"},
        "graph": {"nodes": {"visual": ["visual"]}, "threshold": 0.5, "direction": "forward"},
    }


def _folds(labels: np.ndarray, seed: int) -> np.ndarray:
    """The split that tests each trial: as many sixes as nines in each."""
    fold = np.empty(len(labels), dtype=int)
    rng = np.random.default_rng(seed)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        fold[members] = np.arange(len(members)) % SPLITS
    return fold


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    convert(sys.argv[1], sys.argv[2])
