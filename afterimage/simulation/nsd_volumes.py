"""Region volumes, label tables and betas of a simulated NSD subject."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from afterimage.simulation.atlases import ATLASES, DRAWN, number, table
from afterimage.simulation.brain import Brain
from afterimage.simulation.head import Head

SPACE = "func1pt8mm"
BETAS = "betas_fithrf_GLMdenoise_RR"
VOXEL_MM = 1.8
STEPS_PER_PERCENT = 300
FORMATS = ("hdf5", "nifti", "both")

_STREAMS = {
    "V1": "early",
    "V2": "early",
    "V3": "early",
    "V4": "midventral",
    "ventral": "ventral",
    "MST": "lateral",
    "V6": "parietal",
}
_VENTRAL_PARTS = ("VVC", "FFC", "PHA1", "PHA3", "TF", "VMV3")


def save_volume(path: Path, volume: np.ndarray) -> None:
    """Save a volume (x, y, z[, trial]) as NIfTI, 1.8 mm, its origin at the volume's centre."""
    import nibabel

    affine = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
    affine[:3, 3] = millimetres(np.zeros(3), volume.shape[:3])
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(volume, affine, dtype=volume.dtype), path)


def millimetres(xyz: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Where voxels lie in a volume of this shape, from its centre, in millimetres."""
    return VOXEL_MM * (xyz - (np.array(shape) - 1) / 2)


def write_regions(root: Path, subject: str, head: Head, brain: Brain) -> None:
    """Write the brain mask, every atlas (both hemispheres and each), and the label tables.

    In an atlas's volume -1 is no cortex (of that hemisphere), 0 cortex without a label.
    """
    folder = root / f"nsddata/ppdata/{subject}/{SPACE}"
    save_volume(folder / "brainmask.nii.gz", head.brain.astype(np.float64))
    for atlas in ATLASES:
        labels = np.where(head.cortex > 0, 0.0, -1.0)
        for region in head.regions:
            mine = brain.region == region
            labels[tuple(brain.xyz[mine].T)] = _labels(atlas, region, brain.field[mine])
        save_volume(folder / f"roi/{atlas}.nii.gz", labels)
        for side, name in ((1, "lh"), (2, "rh")):
            one = np.where(head.cortex == side, labels, -1.0)
            save_volume(folder / f"roi/{name}.{atlas}.nii.gz", one)
        for owner in [subject] if atlas in DRAWN else [subject, "fsaverage"]:
            path = root / f"nsddata/freesurfer/{owner}/label/{atlas}.mgz.ctab"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(table(atlas))


def _labels(atlas: str, region: str, field: np.ndarray) -> np.ndarray:
    """The number of each voxel of a region in an atlas, 0 where the atlas has no such region."""
    names = ["Unknown"] * len(field)
    if atlas == "streams":
        names = [_STREAMS[region]] * len(field)
    elif atlas == "HCP_MMP1":
        parts = _VENTRAL_PARTS if region == "ventral" else (region,)
        names = [parts[len(parts) * index // len(field)] for index in range(len(field))]
    elif atlas == "nsdgeneral" and region not in ("MST", "V6"):
        names = ["nsdgeneral"] * len(field)
    elif atlas == "prf-visualrois" and region == "V4":
        names = ["hV4"] * len(field)
    elif atlas == "prf-visualrois" and region in ("V1", "V2", "V3"):
        # The upper half of the picture falls on the ventral half of a region.
        names = [f"{region}{'v' if y < 0.5 else 'd'}" for y in field[:, 1]]
    return np.array([number(atlas, name) for name in names], dtype=np.float64)


class BetasWriter:
    """Writes a subject's betas session by session, then its ratios of signal to noise.

    Parameters
    ----------
    form : one of `FORMATS`
    """

    def __init__(self, root: Path, subject: str, head: Head, brain: Brain, form: str) -> None:
        self.folder = root / f"nsddata_betas/ppdata/{subject}/{SPACE}/{BETAS}"
        self.folder.mkdir(parents=True)
        self.head, self.brain, self.form = head, brain, form
        self.sessions: list[np.ndarray] = []

    def write(self, session: int, features: np.ndarray, rng: np.random.Generator) -> None:
        """Simulate and write one session, in the order of its trials.

        Parameters
        ----------
        features : shape (n_trials, n_features)
        """
        percent = rng.standard_normal((len(features), *self.head.brain.shape), dtype=np.float32)
        percent *= self.head.brain
        x, y, z = self.brain.xyz.T
        percent[:, x, y, z] = self.brain.trials(features, rng)
        limits = np.iinfo(np.int16)
        steps = np.clip(np.rint(percent * STEPS_PER_PERCENT), limits.min, limits.max)
        betas = steps.astype(np.int16)
        if self.form in ("hdf5", "both"):
            self._write_hdf5(self.folder / f"betas_session{session:02d}.hdf5", betas)
        if self.form in ("nifti", "both"):
            path = self.folder / f"betas_session{session:02d}.nii.gz"
            save_volume(path, np.moveaxis(betas, 0, -1))
        self.sessions.append(betas[:, self.head.brain])

    @staticmethod
    def _write_hdf5(path: Path, betas: np.ndarray) -> None:
        """MATLAB's (x, y, z, trial) is (trial, z, y, x) here; a chunk is a voxel's session."""
        import h5py

        turned = betas.transpose(0, 3, 2, 1)
        with h5py.File(path, "w") as file:
            file.create_dataset("betas", data=turned, chunks=(len(turned), 1, 1, 1))

    def write_noise_ceiling(self, pictures: np.ndarray) -> None:
        """Write `ncsnr.nii.gz` from pictures shown three times, NaN outside the brain.

        As in the release: sessions z-scored, noise variance from the repeats, the rest signal.
        """
        scored = [session.astype(np.float32) for session in self.sessions]
        scored = [(session - session.mean(0)) / (session.std(0) + 1e-6) for session in scored]
        order = np.argsort(pictures, kind="stable")
        _, counts = np.unique(pictures, return_counts=True)
        thrice = np.repeat(counts, counts) == 3
        repeats = np.concatenate(scored)[order[thrice]]
        volume = np.full(self.head.brain.shape, np.nan, dtype=np.float32)
        if len(repeats):
            noise = repeats.reshape(-1, 3, repeats.shape[1]).var(1, ddof=1).mean(0)
            volume[self.head.brain] = np.sqrt(np.maximum(1 - noise, 0) / noise)
        save_volume(self.folder / "ncsnr.nii.gz", volume)
