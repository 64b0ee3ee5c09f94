"""Other systems' pictures are scored from the design and the pictures: no betas, no captions."""

import json
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import yaml
from PIL import Image

from tests import raw_files

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.workflow


@pytest.fixture
def study(tmp_path):
    """A folder with NSD's design and pictures and nothing else, and pictures of another system."""
    whole, raw = tmp_path / "whole", tmp_path / "raw"
    raw_files.write_nsd(whole)
    kept = (
        "nsddata/experiments/nsd/nsd_expdesign.mat",
        "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5",
    )
    for name in kept:
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(whole / name, raw / name)
    shutil.rmtree(whole)
    (tmp_path / "theirs").mkdir()
    for shared in raw_files.SHARED:
        seen = Image.fromarray(raw_files.picture(shared - 1))
        seen.resize((64, 64)).save(tmp_path / f"theirs/{shared - 1}.png")
    return tmp_path


def run(snakemake: str, folder: Path, methods: list[str], *arguments: str):
    demo = yaml.safe_load((ROOT / "config.yaml").read_text())["datasets"]["demo-nsd"]
    entry = {name: value for name, value in demo.items() if name != "simulate"}
    entry |= raw_files.nsd_settings(folder / "raw")
    entry["split"] = {"scheme": "official", "validation_fraction": 0.5}
    entry["graph"] = {**demo["graph"], "nodes": {"V1": ["V1"], "V4": ["V4"]}}
    config = {
        "run": {"datasets": ["mine"], "methods": methods, "decoders": {"image": [], "text": []}},
        "datasets": {"mine": entry},
        "external": {"theirs": {"mine": {"subj01": str(folder / "theirs")}}},
        "scoring": {"networks": []},
    }
    (folder / "overlay.yaml").write_text(yaml.safe_dump(config))
    command = [snakemake, *arguments, "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    command += ["--configfile", str(ROOT / "config/test.yaml"), "overlay.yaml"]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


def test_they_go_to_the_tables_and_the_page_without_a_brain(snakemake, study):
    done = run(snakemake, study, ["theirs"])
    assert done.returncode == 0, done.stderr[-5000:]
    table = pd.read_csv(study / "results/tables/image_metrics.csv")
    theirs = table.query("method == 'theirs' and protocol == 'report' and metric == 'pcc'")
    assert theirs.n_images.tolist() == [len(raw_files.SHARED)]
    assert theirs.value.item() > 0.5
    assert "not needed: betas, captions" in (study / "results/data_check.txt").read_text()
    record = json.loads((study / "results/provenance.json").read_text())
    names = sorted(Path(path).name for path in record["raw"]["mine"])
    assert names == ["nsd_expdesign.mat", "nsd_stimuli.hdf5"]
    assert (study / "results/report/index.html").exists()
    assert (
        "the page shows no captions" in (study / "results/logs/render_report/page.log").read_text()
    )
    said = done.stdout + done.stderr
    for rule in ("check_generator", "encode_captions", "encode_images", "read_betas"):
        assert f"rule {rule}:" not in said

    asked = run(snakemake, study, ["theirs", "oracle"], "check_data")
    assert asked.returncode != 0
    missing = [line for line in asked.stderr.splitlines() if line.startswith("  missing ")]
    for name in ("betas_session01.hdf5", "HCP_MMP1.nii.gz", "captions_train2017.json"):
        assert any(f"/{name} " in line for line in missing), name
