"""leak_proof writes its evidence and fails on a leak."""

import json

import pytest

from afterimage.errors import InputError
from workflow_scripts.leak_proof import main

ME = "results/nsd/subj01"
WHO = {"dataset": "nsd", "subject": "subj01"}


def jobs(extra: str = "") -> list[dict]:
    trained = [f"{ME}/latents/image/train.zarr", *([extra] if extra else [])]
    chain = [
        ("encode_images", ["raw.h5"], [f"{ME}/latents/image/train.zarr"], {}),
        ("encode_images", ["raw.h5"], [f"{ME}/latents/image/test.zarr"], {}),
        ("train_decoder", trained, [f"{ME}/decoders/image-cnn/model.json"], {}),
        ("predict_latents", [f"{ME}/decoders/image-cnn/model.json"],
         [f"{ME}/predictions/image-cnn.test.zarr"], {}),
        ("reconstruct_images", [f"{ME}/predictions/image-cnn.test.zarr"],
         [f"{ME}/reconstructions/linear/shard1of1"], {"method": "linear"}),
    ]  # fmt: skip
    return [
        {"rule": rule, "wildcards": {**WHO, **more}, "inputs": inputs, "outputs": outputs}
        for rule, inputs, outputs, more in chain
    ]


def run(folder, listed: list[dict]) -> dict:
    (folder / "jobs.json").write_text(json.dumps(listed))
    main(str(folder / "jobs.json"), str(folder / "leak_proof.json"))
    return json.loads((folder / "leak_proof.json").read_text())


def test_a_proof_that_holds(tmp_path, capsys):
    proof = run(tmp_path, jobs())
    assert proof["holds"]
    assert proof["methods"][0]["training_jobs"] == 1
    assert capsys.readouterr().out.startswith("nsd subj01 linear: holds")


def test_a_leak_fails_with_its_path_and_still_writes(tmp_path, capsys):
    leaked = f"{ME}/latents/image/test.zarr"
    way = f"{leaked} -> {ME}/decoders/image-cnn/model.json"
    with pytest.raises(InputError, match=way):
        run(tmp_path, jobs(leaked))
    assert not json.loads((tmp_path / "leak_proof.json").read_text())["holds"]
    assert "nsd subj01 linear: LEAKS" in capsys.readouterr().out


def test_no_training_job_is_no_proof(tmp_path):
    with pytest.raises(InputError, match="no job that trains"):
        run(tmp_path, jobs()[:1])
