"""snakemake download_nsd and check_data on the simulated release in a local S3 server."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests.local_bucket import BUCKET, Line, filled_bucket, running_server
from workflow_scripts import simulate_nsd

ROOT = Path(__file__).parents[2]
CAPTIONS = "nsddata_stimuli/stimuli/nsd/annotations"
STALLS_AFTER = 3_000_000

pytestmark = pytest.mark.workflow


@pytest.fixture
def release(tmp_path):
    """The demo's NSD, small, with pictures large enough to be cut in the middle."""
    root = tmp_path / "release"
    simulate_nsd.main(
        str(root), [str(tmp_path / "subj01.npz")],
        {"seed": 0, "subjects": ["subj01"], "picture_size": 320, "images": 24, "shared_images": 4,
         "sessions": 2, "trials_per_session": 24,
         "voxels": dict.fromkeys(("V1", "V2", "V3", "V4", "ventral"), 8)},
    )  # fmt: skip
    return root


def overlay(folder: Path, endpoint: str, accepted: bool = True) -> Path:
    """A config of one real dataset, as a user would write it, of the demo's entry."""
    demo = yaml.safe_load((ROOT / "config.yaml").read_text())["datasets"]["demo-nsd"]
    entry = {name: value for name, value in demo.items() if name != "simulate"}
    entry |= {
        "root": str(folder / "mine"), "sessions": [1, 37], "n_sessions": 2,
        "accept_nsd_terms": accepted,
    }  # fmt: skip
    config = {
        "run": {"datasets": ["mine"]},
        "datasets": {"mine": entry},
        "download": {"bucket": BUCKET, "endpoint": endpoint},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def command(snakemake: str, rule: str, config: Path) -> list[str]:
    options = ["--snakefile", str(ROOT / "Snakefile"), "--cores", "2", "--nolock"]
    return [snakemake, rule, *options, "--configfile", str(config)]


def run(snakemake: str, rule: str, config: Path) -> subprocess.CompletedProcess:
    arguments = command(snakemake, rule, config)
    return subprocess.run(arguments, capture_output=True, text=True, cwd=config.parent)


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def test_a_killed_download_goes_on_where_it_stopped_and_then_all_is_well(
    snakemake, release, tmp_path
):
    with running_server() as server, filled_bucket(server, release):
        line = Line(server, STALLS_AFTER)
        config = overlay(tmp_path, line.url)
        killed = subprocess.Popen(
            command(snakemake, "download_nsd", config), cwd=tmp_path, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert line.dead.wait(120)
        time.sleep(1)  # what was carried is written, and nothing more comes
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
        there = {path: path.stat().st_size for path in files(tmp_path / "mine")}
        assert sum(there.values()) > STALLS_AFTER / 2
        begun = [size for path, size in there.items() if path.name.endswith(".part") and size]
        assert begun

        line.mend()
        done = run(snakemake, "download_nsd", config)
        line.close()
    assert done.returncode == 0, done.stderr
    for path in files(tmp_path / "mine"):
        there_too = release / path.relative_to(tmp_path / "mine")
        assert path.read_bytes() == there_too.read_bytes()
    for size in begun:
        assert f"Range: bytes={size}-\r\n".encode() in line.asked

    missing = run(snakemake, "check_data", config)
    assert missing.returncode != 0
    assert "captions_train2017.json: expected COCO captions, found nothing" in missing.stderr
    (tmp_path / "mine" / CAPTIONS).mkdir(parents=True)
    for path in files(release / CAPTIONS):
        path.rename(tmp_path / "mine" / CAPTIONS / path.name)
    assert run(snakemake, "check_data", config).returncode == 0
    assert "all well" in (tmp_path / "results/data_check.txt").read_text()


def test_nothing_is_asked_of_the_bucket_before_the_terms_are_accepted(snakemake, tmp_path):
    done = run(snakemake, "download_nsd", overlay(tmp_path, "http://127.0.0.1:1", accepted=False))
    assert done.returncode != 0
    said = {text for text in done.stderr.splitlines() if text.startswith("ERROR")}
    assert len(said) == 1  # on the terminal and in the log that Snakemake shows
    assert "accept_nsd_terms: expected true, once you have accepted" in said.pop()
    assert not (tmp_path / "mine").exists()
