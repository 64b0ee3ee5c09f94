"""The record of a study: what was read, with which code, and which files the tables come from."""

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import yaml

from afterimage.provenance import record
from afterimage.report.methods import versions as page_versions
from afterimage.stores import read_json, write_json
from tests.raw_files import nsd_settings, write_nsd
from workflow_scripts.write_provenance import main, raw_files, versions_of

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "resources/demo_diffusion"


def digest(path: Path) -> str:
    return hashlib.new("sha256", path.read_bytes()).hexdigest()


def test_a_record_names_everything_that_tables_were_made_from(tmp_path, monkeypatch):
    write_nsd(tmp_path / "raw")
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["run"]["datasets"] = ["mine"]
    config["datasets"]["mine"] = {"text": "captions", **nsd_settings(tmp_path / "raw")}
    for name in ("weights.safetensors", "table.csv", "shard/manifest.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    made = [str(tmp_path / name) for name in ("table.csv", "shard")]
    out, weights = tmp_path / "provenance.json", str(tmp_path / "weights.safetensors")
    code = {"tabulate": "0123456789abcdef"}
    main(str(out), config, code, str(MODEL), [weights], made, str(tmp_path))
    found = read_json(out)
    assert found["config"] == config
    assert found["code"] == code
    assert found["versions"]["numpy"] == np.__version__
    assert ("numpy", np.__version__) in page_versions(str(out))
    assert len(page_versions(str(out))) < 20
    assert found["repository"] is None
    unet = "unet/diffusion_pytorch_model.safetensors"
    assert found["generator"]["sha256"][unet] == digest(MODEL / unet)
    assert found["generator"]["model"] == str(MODEL)
    assert found["scoring_weights"] == {weights: digest(Path(weights))}
    names = ("table.csv", "shard/manifest.csv")
    assert found["made"] == {str(tmp_path / name): digest(tmp_path / name) for name in names}
    raw = found["raw"]["mine"]
    betas = [path for path in raw if path.endswith("betas_session01.hdf5")]
    assert raw[betas[0]]["sha256"] == digest(Path(betas[0]))
    assert all(Path(path).exists() for path in raw)
    monkeypatch.setattr(record, "LARGE", 1)
    large = raw_files(config, "mine")[betas[0]]
    assert "sha256" not in large
    assert len(large["content_stamp"]) == 16


def test_large_raw_files_are_told_by_size_and_time(tmp_path, monkeypatch):
    path = tmp_path / "betas.hdf5"
    path.write_bytes(b"0" * 11)
    moment = datetime(2020, 2, 29, 12, 30, 5, tzinfo=UTC)
    os.utime(path, (moment.timestamp(), moment.timestamp()))
    small = record.stamp(path)
    assert small == {
        "bytes": 11,
        "modified": "2020-02-29T12:30:05+00:00",
        "sha256": digest(path),
    }
    monkeypatch.setattr(record, "LARGE", 10)
    assert record.stamp(path) == {name: small[name] for name in ("bytes", "modified")}
    assert record.stamp(tmp_path) == {"bytes": 11, "modified": small["modified"], "files": 1}


def test_what_decoders_and_pictures_were_made_with_is_collected(tmp_path):
    old, new = {"numpy": "1"}, {"numpy": "2"}
    found = {"model.json": old, "a/sidecar.json": new, "b/sidecar.json": new}
    for name, versions in found.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_json(tmp_path / name, {"versions": versions})
    (tmp_path / "c").mkdir()
    made = [str(tmp_path / name) for name in ("model.json", "a", "b", "c")]
    assert versions_of(made) == [
        {"versions": old, "files": [str(tmp_path / "model.json")]},
        {"versions": new, "files": [str(tmp_path / f"{name}/sidecar.json") for name in "ab"]},
    ]


def test_the_version_of_two_copies_is_that_of_the_first_on_the_path(tmp_path, monkeypatch):
    for number in ("2", "1"):
        folder = tmp_path / number / f"twice-{number}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: twice\nVersion: {number}\n")
        monkeypatch.syspath_prepend(tmp_path / number)
    assert record.versions()["twice"] == "1"


def test_a_commit_is_told_with_whether_files_differ_from_it(tmp_path):
    def git(*arguments: str) -> str:
        return os.popen(f"git -C {tmp_path} {' '.join(arguments)}").read().strip()

    git("init -q")
    git("-c user.name=a -c user.email=a@b commit -q --allow-empty -m first")
    head = git("rev-parse HEAD")
    assert record.commit(tmp_path) == {"commit": head, "edited": False}
    (tmp_path / "new").write_text("1")
    assert record.commit(tmp_path) == {"commit": head, "edited": True}
