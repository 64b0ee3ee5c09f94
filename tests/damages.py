"""Ways to damage the tiny raw files of `raw_files`, and the look that should notice."""

import gzip
import json
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pandas as pd
from scipy.io import loadmat, savemat

from tests import raw_files
from workflow_scripts import check_data

FAMILIES = {
    "nsd": (raw_files.write_nsd, raw_files.nsd_settings),
    "things": (raw_files.write_things, raw_files.things_settings),
    "custom": (raw_files.write_custom, raw_files.custom_settings),
}
DESIGN = "nsddata/experiments/nsd/nsd_expdesign.mat"
BEHAVIOUR = "nsddata/ppdata/subj01/behav/responses.tsv"
STIMULUS_TABLE = "nsddata/experiments/nsd/nsd_stim_info_merged.csv"
SESSION = f"{raw_files.NSD_BETAS}/betas_session02.hdf5"
HCP = f"{raw_files.NSD_ROI}/HCP_MMP1.nii.gz"
HCP_TABLE = "nsddata/freesurfer/subj01/label/HCP_MMP1.mgz.ctab"
STIMULI = "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"
CAPTIONS = "nsddata_stimuli/stimuli/nsd/annotations/captions_train2017.json"
STREAMS = f"{raw_files.NSD_ROI}/streams.nii.gz"
RESPONSES = "betas_csv/sub-01_ResponseData.h5"
VOXELS = "betas_csv/sub-01_VoxelMetadata.csv"
TRIALS = "betas_csv/sub-01_StimulusMetadata.csv"


# What breaks the files. Each takes the file's path.


def cut_short(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def lose_the_end(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def remove(path: Path) -> None:
    path.unlink()


def folder(path: Path) -> None:
    """A folder in the file's place."""
    path.unlink()
    path.mkdir()


def replace(old: str, new: str):
    def damage(path: Path) -> None:
        content = path.read_bytes()
        assert old.encode() in content
        path.write_bytes(content.replace(old.encode(), new.encode(), 1))

    return damage


def write(content: bytes):
    return lambda path: path.write_bytes(content)


def change_design(**changes):
    """Change arrays of the design, each by a function of its old value."""

    def damage(path: Path) -> None:
        content = {k: v for k, v in loadmat(path).items() if not k.startswith("_")}
        savemat(path, {k: changes[k](v) if k in changes else v for k, v in content.items()})

    return damage


def change_table(change, **options):
    """Change a table by a function of the old one, which may change it in place."""

    def damage(path: Path) -> None:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, **options)
        changed = change(table)
        table = table if changed is None else changed
        table.to_csv(path, index=False, **options)

    return damage


def rewrite_betas(change, **options):
    return lambda path: raw_files.write_betas(path, change(raw_files.nsd_betas()[1]), **options)


def rewrite_labels(change):
    return lambda path: raw_files.write_volume(path, change(raw_files.hcp_labels()))


def rename_dataset(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.move("betas", "data")


def spoil_last_chunk(path: Path) -> None:
    raw_files.write_betas(path, raw_files.nsd_betas()[1], compression="gzip")
    with h5py.File(path) as file:
        middle = file["betas"].id.get_chunk_info_by_coord((0, 1, 2, 2))
    content = bytearray(path.read_bytes())
    content[middle.byte_offset : middle.byte_offset + middle.size] = bytes(middle.size)
    path.write_bytes(content)


def zero_in_place(voxels=None):
    """Overwrite the chunks of some voxels (z, y, x) of a session, or of all, with zeros."""

    def damage(path: Path) -> None:
        with h5py.File(path) as file:
            betas = file["betas"].id
            infos = [betas.get_chunk_info(number) for number in range(betas.get_num_chunks())]
        with open(path, "r+b") as stream:
            for info in infos:
                if voxels is None or info.chunk_offset[1:] in voxels:
                    stream.seek(info.byte_offset)
                    stream.write(bytes(info.size))

    return damage


def some_voxels_written(path: Path) -> None:
    """A packed session of which only the first slice was written."""
    with h5py.File(path, "w") as file:
        options = {"chunks": (6, 1, 1, 1), "compression": "gzip"}
        betas = file.create_dataset("betas", (6, 3, 4, 5), "int16", **options)
        betas[:, 0] = raw_files.nsd_betas()[1].transpose(3, 2, 1, 0)[:, 0]


def lost_trials(*trials):
    """Some trials of a session as zeros, in all voxels."""
    return lambda volume: np.where(np.isin(np.arange(raw_files.NSD_TRIALS), trials), 0, volume)


def write_nothing(path: Path) -> None:
    """Betas of the right shape that were never written: HDF5 reads them as zeros."""
    with h5py.File(path, "w") as file:
        file.create_dataset("betas", (6, 3, 4, 5), "int16")


def as_nifti(change, session=1, **options):
    """Put a NIfTI in the place of a session's HDF5 file, and change its packed bytes."""

    def damage(path: Path) -> None:
        path.unlink()
        nifti = path.with_suffix(".nii.gz")
        raw_files.write_volume(nifti, raw_files.nsd_betas()[session], **options)
        nifti.write_bytes(change(nifti.read_bytes()))

    return damage


def without_the_last_trial(packed: bytes) -> bytes:
    """A whole packed file of too few bytes."""
    return gzip.compress(gzip.decompress(packed)[:-100])


def in_two_pieces(packed: bytes) -> bytes:
    """The same file packed in two pieces, of which only the second's length ends the file."""
    content = gzip.decompress(packed)
    return gzip.compress(content[:400]) + gzip.compress(content[400:])


def empty_dataset(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["betas"] = h5py.Empty("int16")


def wrong_checksum(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)


def lost_place(path: Path) -> None:
    """A label volume whose affine holds NaN."""
    image = nibabel.Nifti1Image(raw_files.hcp_labels(), None)
    affine = np.diag([np.nan, 1.8, 1.8, 1.0])
    image.header.set_sform(affine, 1)
    nibabel.save(image, path)


def coloured_labels(path: Path) -> None:
    colours = np.zeros(raw_files.NSD_GRID, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    raw_files.write_volume(path, colours)


def another_atlas(path: Path) -> None:
    """The labels of HCP_MMP1, which has more of them than the atlas in whose place they are."""
    labels = raw_files.hcp_labels()
    labels[4, 1, 2], labels[0, 3, 0] = 5, 180
    raw_files.write_volume(path, labels)


def scaled(packed: bytes) -> bytes:
    """A NIfTI whose header asks for its values to be multiplied: scl_slope at byte 112."""
    content = bytearray(gzip.decompress(packed))
    content[112:120] = np.array([1 / 300, 0], dtype="<f4").tobytes()
    return gzip.compress(bytes(content))


def moved_labels(shift: float = 0.0, mirror: bool = False):
    """The streams' volume in another place, or with its x axis mirrored."""
    return lambda path: raw_files.write_volume(
        path, raw_files.stream_labels(), shift=shift, mirror=mirror
    )


def rewrite_captions(keep):
    def damage(path: Path) -> None:
        content = json.loads(path.read_text())
        content["annotations"] = keep(content["annotations"])
        path.write_text(json.dumps(content))

    return damage


def never_written_responses(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        group = file["ResponseData"]
        shape = group["block0_values"].shape
        del group["block0_values"]
        group.create_dataset("block0_values", shape, "float64")


def turn_voxels(table: pd.DataFrame) -> pd.DataFrame:
    """The voxels' rows from last to first."""
    return table[::-1]


def turn_and_number_voxels(table: pd.DataFrame) -> pd.DataFrame:
    return table[::-1].assign(voxel_id=range(len(table)))


def rewrite_responses(change):
    return lambda path: raw_files.write_responses(path, change(raw_files.things_responses()))


def set_cell(row: int, column: str, value: str):
    def change(table: pd.DataFrame) -> None:
        table.loc[row, column] = value

    return change


def rewrite_array(change):
    return lambda path: np.save(path, change(raw_files.custom_responses()))


def archive(path: Path) -> None:
    with open(path, "wb") as stream:
        np.savez(stream, responses=raw_files.custom_responses())


def empty_hdf5(path: Path) -> None:
    path.unlink()
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["responses"] = h5py.Empty("f4")


def many_voxels_of_lost_trials(path: Path) -> None:
    """40 voxels in each of two regions; the last of five trials are zeros."""
    rows = [f"{number},{int(number < 40)},{int(number >= 40)}" for number in range(80)]
    path.write_text("\n".join(["voxel,V1,IT", *rows]) + "\n")
    values = np.random.default_rng(0).normal(size=(5, 80)).astype(np.float32)
    values[3:] = 0
    np.save(path.with_name("responses.npy"), values)


def second_picture(path: Path) -> None:
    path.with_suffix(".jpg").write_bytes(path.read_bytes())


def wide_volume(labels: np.ndarray) -> np.ndarray:
    return np.concatenate([labels, labels[:1]])


def check(family: str, root: Path, out: Path, show=print) -> None:
    settings = {**FAMILIES[family][1](root), "max_bad_voxels": 0.05}
    check_data.main({"lab": settings}, str(out), show=show)
