"""Rule simulate_things: raw files in place, and a truth per subject."""

import pandas as pd

from afterimage.simulation.truth import read_truth
from workflow_scripts import simulate_things


def test_main_writes_the_raw_files_and_a_truth_for_each_subject(tmp_path):
    cfg = {
        "subjects": ["sub-01"],
        "seed": 0,
        "voxels": {"V1": 6, "hV4": 4, "PPA": 4, "LOC": 12},
        "train_images": 12,
        "test_images": 2,
        "sessions": 3,
        "runs": 2,
        "picture_size": 20,
    }
    simulate_things.main(str(tmp_path / "raw"), [str(tmp_path / "truth/sub-01.npz")], cfg)
    trials = pd.read_csv(tmp_path / "raw/betas_csv/sub-01_StimulusMetadata.csv")
    assert len(trials) == 12 + 2 * 3
    truth = read_truth(tmp_path / "truth/sub-01.npz")
    assert {f"{name}.jpg" for name in truth.scenes} == set(trials["stimulus"])
    assert (tmp_path / "raw/betas_csv/sub-01_ResponseData.h5").is_file()
    assert (tmp_path / "raw/things_concepts.tsv").is_file()
