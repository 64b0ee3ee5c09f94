"""One NSD session of its true size, and the few files beside it that its rules read."""

import os
from pathlib import Path

import numpy as np

TRIALS = 750
GRID = (81, 104, 83)
# V1 to V4 and the ventral stream of subj01, as the report counts them.
AREAS = {"lower": 10_631, "higher": 7_604}
VOXELS = sum(AREAS.values())
SUBJECT, PART, BETAS = "subj01", "session01", "betas_fithrf_GLMdenoise_RR"
SESSION = f"nsddata_betas/ppdata/{SUBJECT}/func1pt8mm/{BETAS}/betas_session01.hdf5"


def voxels() -> np.ndarray:
    """Flat (z, y, x) positions of a folded sheet in the back of the volume, as cortex lies."""
    x, y, z = np.meshgrid(*(np.arange(side) for side in GRID), indexing="ij")
    radius = np.hypot(np.hypot(x - 40, y - 30), z - 40) + 2 * np.sin(x / 3) * np.cos(z / 4)
    distance = np.where(y < 45, np.abs(radius - 27), np.inf)
    nearest = np.argsort(distance, axis=None, kind="stable")[:VOXELS]
    sheet = np.zeros(GRID, dtype=bool)
    sheet.ravel()[nearest] = True
    return np.flatnonzero(sheet.transpose(2, 1, 0))


def area_of_voxels() -> np.ndarray:
    """Which area each of `voxels` is in: the sheet's lower end is the lower area."""
    return np.repeat([*AREAS], [*AREAS.values()])


def write_session(path: Path, storage: str) -> None:
    """Write random betas; every storage holds the same values."""
    import h5py

    rng = np.random.default_rng(0)
    options = {
        "plain": {"chunks": (TRIALS, 1, 1, 1)},
        "gzip": {"chunks": (TRIALS, 1, 1, 1), "compression": "gzip", "compression_opts": 1},
        "contiguous": {},
    }[storage]
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        betas = file.create_dataset("betas", (TRIALS, *GRID[::-1]), "int16", **options)
        for z in range(GRID[2]):
            steps = rng.integers(-3000, 3000, (*GRID[1::-1], TRIALS), dtype=np.int16)
            if storage == "plain":
                for y, x in np.ndindex(GRID[1], GRID[0]):
                    betas.id.write_direct_chunk((0, z, y, x), steps[y, x].tobytes())
            else:
                betas[:, z] = np.moveaxis(steps, -1, 0)
    with open(path, "rb") as stream:
        os.fsync(stream.fileno())


def find_places(path: Path) -> None:
    """Write where in the file the chunk of each of `voxels` begins."""
    import h5py

    with h5py.File(path, "r") as file:
        betas = file["betas"]
        offset = np.zeros(betas.shape[1:], dtype=np.int64)

        def note(chunk) -> None:
            offset[chunk.chunk_offset[1:]] = chunk.byte_offset

        betas.id.chunk_iter(note)
    np.save(path.with_suffix(".places.npy"), offset.ravel()[voxels()])


def settings(root: Path) -> dict:
    """The config entry that reads the session and the files beside it."""
    regions = {
        "lower": {"V1": {"atlas": "HCP_MMP1", "labels": ["V1"]}},
        "higher": {"ventral": {"atlas": "streams", "labels": ["ventral"]}},
    }
    return {
        "format": "nsd",
        "root": str(root),
        "sessions": [1, 1],
        "areas": {area: {"regions": found} for area, found in regions.items()},
        "split": {"scheme": "official", "validation_fraction": 0.1},
    }


def write_study(root: Path) -> Path:
    """Write the design, the label volumes and their tables; the subject's trial table, returned."""
    import nibabel
    from scipy.io import savemat

    from workflow_scripts.index_trials import main as index_trials

    n_images = TRIALS // 3
    pattern = np.zeros((1, 12, 75), dtype=np.uint8)
    pattern[0, 0::2, :63] = pattern[0, 1::2, :62] = 1
    order = np.random.default_rng(1).permutation(np.repeat(np.arange(1, n_images + 1), 3))
    shared = np.arange(1, 26)
    design = root / "nsddata/experiments/nsd/nsd_expdesign.mat"
    design.parent.mkdir(parents=True)
    savemat(
        design,
        {"masterordering": order[None], "sharedix": shared[None], "stimpattern": pattern,
         "subjectim": np.tile(np.arange(1, n_images + 1), (8, 1))},
    )  # fmt: skip
    tables = {"HCP_MMP1": ("lower", "V1"), "streams": ("higher", "ventral")}
    for atlas, (area, label) in tables.items():
        labels = np.zeros(GRID[::-1])
        labels.ravel()[voxels()[area_of_voxels() == area]] = 1
        volume = root / f"nsddata/ppdata/{SUBJECT}/func1pt8mm/roi/{atlas}.nii.gz"
        table = root / f"nsddata/freesurfer/{SUBJECT}/label/{atlas}.mgz.ctab"
        for path in (volume, table):
            path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(
            nibabel.Nifti1Image(labels.transpose(2, 1, 0), np.diag([1.8] * 3 + [1])), volume
        )
        table.write_text(f"0 Unknown\n1 {label}\n")
    index_trials(str(root / "trials.parquet"), settings(root), SUBJECT, 0)
    return root / "trials.parquet"
