"""Tiny raw files in the releases' layouts, written from their description and by nothing else.

Neither the readers nor the simulation are used: names, orders and numbers are spelled out here.
"""

import json
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pandas as pd
from PIL import Image
from scipy.io import savemat

NSD_GRID = (5, 4, 3)  # x, y, z
NSD_SESSIONS = 2
NSD_TRIALS = 6
NSD_BETAS = "nsddata_betas/ppdata/subj01/func1pt8mm/betas_fithrf_GLMdenoise_RR"
NSD_ROI = "nsddata/ppdata/subj01/func1pt8mm/roi"

# Each subject has 6 images, shown three times in 3 designed sessions of 6 trials; 2 are shared.
ORDER = [1, 3, 4, 2, 5, 3, 6, 1, 4, 2, 5, 6, 1, 2, 3, 4, 5, 6]  # counted from 1
SHARED = [8, 21]  # 73K ids counted from 1
OWN = [5, 30, 11, 2]  # those of subj01, counted from 1
IMAGE_OF_TRIAL = [7, 4, 29, 20, 10, 4, 1, 7, 29, 20, 10, 1]  # of 2 sessions, counted from 0
N_IMAGES = 34


def nsd_settings(root: Path) -> dict:
    """A config entry for `write_nsd`'s files."""
    return {
        "format": "nsd",
        "root": str(root),
        "subjects": ["subj01"],
        "sessions": [1, 40],
        "n_sessions": NSD_SESSIONS,
        "areas": {
            "lower": {
                "regions": {
                    "V1": {"atlas": "HCP_MMP1", "labels": ["V1"]},
                    "V4": {"atlas": "HCP_MMP1", "labels": ["V4"]},
                }
            },
            "higher": {"regions": {"ventral": {"atlas": "streams", "labels": ["ventral"]}}},
        },
    }


def nsd_betas() -> np.ndarray:
    """(session, x, y, z, trial) int16: percent signal change times 300."""
    rng = np.random.default_rng(0)
    return rng.integers(-3000, 3000, (NSD_SESSIONS, *NSD_GRID, NSD_TRIALS)).astype(np.int16)


def write_betas(path: Path, volume: np.ndarray, **options) -> None:
    """Write (x, y, z, trial) as MATLAB's h5write does: axes reversed, a chunk per voxel."""
    turned = volume.transpose(3, 2, 1, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        options.setdefault("chunks", (turned.shape[0], 1, 1, 1))
        file.create_dataset("betas", data=turned, **options)


def write_volume(path: Path, values: np.ndarray, shift: float = 0.0, mirror: bool = False) -> None:
    """Write a NIfTI of 1.8 mm voxels around the origin, or some millimetres beside it."""
    affine = np.diag([-1.8 if mirror else 1.8, 1.8, 1.8, 1.0])
    affine[:3, 3] = [-3.6 + shift, -2.7, -1.8]
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, affine, dtype=values.dtype), path)


def hcp_labels() -> np.ndarray:
    """(x, y, z) float64: -1 no cortex, 0 no label, 1 V1, 6 V4, 3 V6."""
    labels = np.full(NSD_GRID, -1.0)
    labels[:, 1:, :] = 0
    labels[0, 1, 0] = labels[4, 3, 2] = labels[2, 2, 1] = 1
    labels[1, 1, 1] = labels[3, 2, 0] = 6
    labels[1, 3, 2] = 3
    return labels


def stream_labels() -> np.ndarray:
    """(x, y, z) float64: 5 ventral, 1 early."""
    labels = np.where(hcp_labels() < 0, -1.0, 0.0)
    labels[2, 1, 2] = labels[3, 3, 1] = 5
    labels[0, 1, 0] = 1
    return labels


def write_nsd(root: Path) -> None:
    """Write one subject, two sessions."""
    experiment = root / "nsddata/experiments/nsd"
    experiment.mkdir(parents=True)
    others = [image for image in range(1, N_IMAGES + 1) if image not in SHARED + OWN]
    subjects = [[*SHARED, *OWN]]
    subjects += [[*SHARED, *others[4 * n : 4 * n + 4]] for n in range(7)]
    pattern = np.zeros((3, 2, 5), dtype=np.uint8)
    pattern[:, :, [0, 2, 3]] = 1
    savemat(
        experiment / "nsd_expdesign.mat",
        {
            "masterordering": np.array([ORDER], dtype=np.uint16),
            "subjectim": np.array(subjects, dtype=np.int32),
            "sharedix": np.array([SHARED], dtype=np.int32),
            "stimpattern": pattern,
        },
    )
    (root / "nsddata/ppdata/subj01/behav").mkdir(parents=True)
    rows = [
        [1, t // 6 + 1, t % 6 // 3 + 1, t % 3 + 1, IMAGE_OF_TRIAL[t] + 1, ORDER[t], 0.5, "NaN"]
        for t in range(12)
    ]
    columns = ["SUBJECT", "SESSION", "RUN", "TRIAL", "73KID", "10KID", "TIME", "CHANGEMIND"]
    pd.DataFrame(rows, columns=columns).to_csv(
        root / "nsddata/ppdata/subj01/behav/responses.tsv", sep="\t", index=False
    )
    write_volume(root / NSD_ROI / "HCP_MMP1.nii.gz", hcp_labels())
    write_volume(root / NSD_ROI / "streams.nii.gz", stream_labels())
    label = root / "nsddata/freesurfer/subj01/label"
    label.mkdir(parents=True)
    (label / "HCP_MMP1.mgz.ctab").write_text("0 Unknown\n1 V1\n2 MST\n3 V6\n4 V2\n5 V3\n6 V4\n")
    average = root / "nsddata/freesurfer/fsaverage/label"
    average.mkdir(parents=True)
    (average / "streams.mgz.ctab").write_text(
        "0 Unknown\t\n1 early\t\n2 midventral\t\n3 midlateral\t\n4 midparietal\t\n5 ventral\t\n"
    )
    for session, volume in enumerate(nsd_betas(), start=1):
        write_betas(root / NSD_BETAS / f"betas_session{session:02d}.hdf5", volume)
    _write_stimuli(root)


def picture(number: int) -> np.ndarray:
    """A picture (8, 8, 3) uint8 of its own."""
    return np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def _write_stimuli(root: Path) -> None:
    stimuli = root / "nsddata_stimuli/stimuli/nsd"
    (stimuli / "annotations").mkdir(parents=True)
    with h5py.File(stimuli / "nsd_stimuli.hdf5", "w") as file:
        file["imgBrick"] = np.stack([picture(number) for number in range(N_IMAGES)])
    splits = ["val2017" if number < 3 else "train2017" for number in range(N_IMAGES)]
    coco = [500 - 3 * number for number in range(N_IMAGES)]
    pd.DataFrame(
        {"cocoId": coco, "cocoSplit": splits, "cropBox": "(0, 0, 0.1, 0.1)",
         "nsdId": range(N_IMAGES)}
    ).to_csv(root / "nsddata/experiments/nsd/nsd_stim_info_merged.csv")  # fmt: skip
    for split in ("train2017", "val2017"):
        annotations = [
            {"id": 10 * number + turn, "image_id": coco[number],
             "caption": f"scene {number}, words {turn}\n"}
            for turn in range(6)
            for number in range(N_IMAGES)
            if splits[number] == split and (turn < 5 or number == 20)
        ]  # fmt: skip
        (stimuli / f"annotations/captions_{split}.json").write_text(
            json.dumps({"info": {}, "images": [], "annotations": annotations})
        )


THINGS_TRIALS = [
    # trial_type, session, run, stimulus, concept
    ("train", 1, 1, "dog_12s.jpg", "dog"),
    ("test", 1, 1, "bat1_13s.jpg", "bat1"),
    ("train", 1, 2, "bat1_02n.jpg", "bat1"),
    ("train", 2, 1, "ice_cream_01b.jpg", "ice_cream"),
    ("test", 2, 1, "bat1_13s.jpg", "bat1"),
]
THINGS_VOXELS = 7


def things_settings(root: Path) -> dict:
    """A config entry for `write_things`' files."""
    return {
        "format": "things",
        "root": str(root),
        "subjects": ["sub-01"],
        "text": "definition",
        "areas": {
            "lower": {"regions": {"V1": {"columns": ["V1"]}}},
            "higher": {
                "regions": {
                    "FFA": {"columns": ["lFFA", "rFFA"]},
                    "LOC": {"columns": ["lLOC", "rLOC"]},
                }
            },
        },
    }


def things_responses() -> np.ndarray:
    """(voxel, trial) float64."""
    return np.random.default_rng(1).normal(size=(THINGS_VOXELS, len(THINGS_TRIALS)))


def write_responses(path: Path, values: np.ndarray, block: int = 0) -> None:
    """Write pandas' fixed format by hand; the floats in block 0 (the release) or 1 (pandas 3)."""
    with h5py.File(path, "w") as file:
        group = file.create_group("ResponseData")
        group[f"block{block}_values"] = values
        group[f"block{1 - block}_values"] = np.arange(len(values))[:, None]
        group["axis1"] = np.arange(len(values))
        # The release's labels are pickled objects: bytes that nothing should ever unpickle.
        group["axis0"] = np.void(b"cos\nsystem\n(S'false'\ntR.")


def things_voxels() -> pd.DataFrame:
    """VoxelMetadata, with a newline in a column's name as in the release."""
    return pd.DataFrame(
        {
            "voxel_id": range(THINGS_VOXELS),
            "subject_id": 1,
            "voxel_x": [1, 1, 1, 2, 2, 2, 3],
            "voxel_y": 39,
            "voxel_z": [33, 34, 35, 33, 34, 35, 36],
            "nc_singletrial": 3.0,
            "nc_testset": [0.0, 10, 20, 30, 40, 50, 60],
            "V1": [1, 1, 0, 0, 0, 0, 0],
            "lFFA": [0, 0, 1, 0, 0, 0, 0],
            "rFFA": [0, 0, 0, 0, 0, 1, 0],
            "lLOC": [0, 0, 1, 1, 0, 0, 0],
            "rLOC": [0, 0, 0, 0, 0, 0, 0],
            "glasser-p9-\n46v": [0, 0, 0, 0, 1, 0, 0],
        }
    )


def write_things(root: Path) -> None:
    """Write one subject."""
    folder = root / "betas_csv"
    folder.mkdir(parents=True)
    rows = [(kind, s, r, 1, i, *rest) for i, (kind, s, r, *rest) in enumerate(THINGS_TRIALS)]
    columns = ["trial_type", "session", "run", "subject_id", "trial_id", "stimulus", "concept"]
    table = pd.DataFrame(rows, columns=columns)
    table.to_csv(folder / "sub-01_StimulusMetadata.csv", index=False)
    things_voxels().to_csv(folder / "sub-01_VoxelMetadata.csv", index=False)
    write_responses(folder / "sub-01_ResponseData.h5", things_responses())
    definition = "Definition (from WordNet, Google, or Wikipedia)"
    concepts = [
        f'Word\tuniqueID\tBigram\t"{definition}"',
        'bat\tbat1\t0\t"a club, used for hitting"',
        "bat\tbat2\t0\tnocturnal mouselike mammal",
        "dog\tdog\t0\ta member of the genus Canis",
        "ice cream\tice_cream\t1\tfrozen dessert",
    ]
    (root / "things_concepts.tsv").write_bytes(("\r\n".join(concepts) + "\r\n").encode())
    for number, (_, _, _, name, concept) in enumerate(THINGS_TRIALS):
        path = root / "object_images" / concept / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(number)).save(path, quality=95, subsampling=0)


def custom_settings(root: Path) -> dict:
    """A config entry for `write_custom`'s files."""
    return {
        "format": "custom",
        "root": str(root),
        "subjects": ["anna"],
        "areas": {
            "lower": {"regions": {"V1": {"columns": ["V1"]}}},
            "higher": {"regions": {"IT": {"columns": ["IT"]}}},
        },
    }


def custom_responses() -> np.ndarray:
    """(trial, voxel) float32."""
    return np.random.default_rng(2).normal(size=(5, 4)).astype(np.float32)


def write_custom(root: Path) -> None:
    """Write one subject; trial numbers are not in the rows' order, and ids look like numbers."""
    folder = root / "anna"
    folder.mkdir(parents=True)
    (folder / "trials.csv").write_text(
        "trial,image_id,session,run,split\n"
        "0,007,1,1,train\n1,008,1,1,\n3,007,1,2,train\n2,NA,1,2,test\n4,009,2,1,\n"
    )
    (folder / "voxels.csv").write_text(
        "voxel,V1,IT,x,y,z\na,1,0,1.5,2,3\nb,0,1,4,5,6\nc,1,1,7,8,9\nd,0,0,0,0,0\n"
    )
    np.save(folder / "responses.npy", custom_responses())
    (root / "captions.csv").write_text(
        'image_id,caption\n007,a spy\n008,"one, two"\nNA,sodium\n009,last\n007,another spy\n'
    )
    (root / "images").mkdir()
    for number, name in enumerate(["007.png", "008.jpg", "NA.png", "009.png"]):
        Image.fromarray(picture(number)).save(root / "images" / name)
