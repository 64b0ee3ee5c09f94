"""Rule simulate_nsd: raw files in place, and a truth per subject."""

import h5py
from scipy.io import loadmat

from afterimage.simulation.truth import read_truth
from workflow_scripts import simulate_nsd


def test_main_writes_the_raw_files_and_a_truth_for_each_subject(tmp_path):
    subjects = ["subj01", "subj02"]
    truth = [str(tmp_path / f"truth/{subject}.npz") for subject in reversed(subjects)]
    cfg = {
        "subjects": subjects,
        "seed": 0,
        "voxels": {"V1": 6, "V2": 5, "V3": 4, "V4": 4, "ventral": 6},
        "images": 24,
        "shared_images": 3,
        "trials_per_session": 12,
        "sessions": 2,
        "picture_size": 20,
    }
    simulate_nsd.main(str(tmp_path / "raw"), truth, cfg)
    design = loadmat(tmp_path / "raw/nsddata/experiments/nsd/nsd_expdesign.mat")
    for number, subject in enumerate(subjects):
        order = design["masterordering"][0, :24].astype(int)
        shown = design["subjectim"].astype(int)[number, order - 1] - 1
        assert set(read_truth(tmp_path / f"truth/{subject}.npz").scenes) == set(map(str, shown))
        folder = next((tmp_path / "raw/nsddata_betas/ppdata" / subject).rglob("betas_session01*"))
        with h5py.File(folder) as file:
            assert len(file["betas"]) == 12
