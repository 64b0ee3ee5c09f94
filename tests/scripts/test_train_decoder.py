"""train_decoder's main on small files."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from afterimage import stores
from afterimage.errors import InputError
from tests.unit.decoder_samples import brain, entry, graph
from workflow_scripts import train_decoder

CPU = {"device": "cpu"}


def write_study(folder: Path, text_shape=(5, 6)) -> None:
    """Responses, latents and graph of a small brain; text's first token is the start token."""
    rng = np.random.default_rng(1)
    for split, samples in zip(("train", "validation", "test"), brain(80), strict=True):
        names = np.array([f"{split}{number:03d}" for number in range(len(samples.y))])
        rows = rng.permutation(len(samples.x))
        stores.write_arrays(
            folder / f"x.{split}.zarr",
            {"x": samples.x[rows], "image_id": names[samples.image[rows]]},
        )
        # Latents stand in another order than responses: only ids can join them.
        shuffled = rng.permutation(len(names))
        z = samples.y.reshape(-1, 2, 3, 4)[shuffled]
        c = np.concatenate([np.zeros((len(z), 1, 6)) + np.arange(6), z.reshape(-1, 4, 6)], axis=1)
        ids = names[shuffled]
        stores.write_arrays(folder / f"z.{split}.zarr", {"z": z, "image_id": ids})
        stores.write_arrays(
            folder / f"c.{split}.zarr", {"c": c.astype(np.float32), "image_id": ids}
        )
    stores.write_arrays(folder / "graph.zarr", vars(graph()))


@pytest.fixture
def study(tmp_path) -> Path:
    write_study(tmp_path)
    return tmp_path


def train(folder: Path, target: str, cfg: dict, out: str = "model", **more) -> dict:
    letter = {"image": "z", "text": "c"}[target]
    arguments = {
        "responses_train": folder / "x.train.zarr",
        "responses_validation": folder / "x.validation.zarr",
        "latents_train": folder / f"{letter}.train.zarr",
        "latents_validation": folder / f"{letter}.validation.zarr",
        "graph": folder / "graph.zarr",
        "out": folder / out,
        "target": target,
        "cfg": cfg,
        "execution": CPU,
        "state": folder / "partial",
    }
    train_decoder.main(**{**arguments, **more})
    return json.loads((folder / out / "model.json").read_text())


@pytest.mark.parametrize("kind", ["linear", "cnn", "vae", "gcn"])
@pytest.mark.parametrize("target", ["image", "text"])
def test_trains_joined_by_id(study, target, kind):
    described = train(study, target, entry(kind))
    of_mean = brain(80)[1].y.var(axis=0).mean()
    assert described["validation_error"] < 0.6 * of_mean
    assert described["train_error"] > 0
    assert described["shapes"]["latent"] == ([2, 3, 4] if target == "image" else [4, 6])
    assert {"kind", "n_parameters", "seconds", "seed", "peak_gpu_bytes"} <= described.keys()
    tensors = load_file(study / "model/model.safetensors")
    assert ("graph/edge_index" in tensors) == (kind == "gcn")
    if target == "text":
        np.testing.assert_array_equal(tensors["start_token"], np.arange(6))
    assert not (study / "partial").exists()


def test_again_gives_the_same_bytes(study):
    for out in ("one", "two"):
        train(study, "image", entry("gcn", epochs=3), out)
    one, two = ((study / out / "model.safetensors").read_bytes() for out in ("one", "two"))
    assert one == two


def test_state_of_another_setting_or_input_is_not_used(study):
    train(study, "image", entry("cnn", epochs=2), "expected")
    stale = study / "partial" / "0123456789abcdef"
    stale.mkdir(parents=True)
    (stale / "state.json").write_text("{}")
    train(study, "image", entry("cnn", epochs=2))
    expected, found = (study / out / "model.safetensors" for out in ("expected", "model"))
    assert expected.read_bytes() == found.read_bytes()


def test_different_start_tokens_are_an_error(study):
    arrays = stores.read_arrays(study / "c.train.zarr")
    arrays["c"][3, 0, 0] += 1
    stores.write_arrays(study / "c.train.zarr", arrays)
    with pytest.raises(InputError, match="start token"):
        train(study, "text", entry("linear"))


def test_a_missing_latent_is_an_error(study):
    arrays = stores.read_arrays(study / "z.train.zarr")
    kept = {name: values[1:] for name, values in arrays.items()}
    stores.write_arrays(study / "z.train.zarr", kept)
    with pytest.raises(InputError, match=f"1 missing, first {arrays['image_id'][0]}"):
        train(study, "image", entry("linear"))


def test_a_response_that_is_not_finite_is_an_error(study):
    arrays = stores.read_arrays(study / "x.train.zarr")
    arrays["x"][5, 7] = np.nan
    stores.write_arrays(study / "x.train.zarr", arrays)
    with pytest.raises(InputError, match="first 7"):
        train(study, "image", entry("cnn"))


def test_voxels_must_agree_between_splits(study):
    arrays = stores.read_arrays(study / "x.validation.zarr")
    arrays["x"] = arrays["x"][:, 1:]
    stores.write_arrays(study / "x.validation.zarr", arrays)
    with pytest.raises(InputError, match="40 voxels"):
        train(study, "image", entry("linear"))


def test_gcn_without_a_graph_is_an_error(study):
    with pytest.raises(InputError, match="graph"):
        train(study, "image", entry("gcn"), graph=None)


def test_a_typo_is_an_error(study):
    with pytest.raises(InputError, match="'hidden'"):
        train(study, "image", {**entry("cnn"), "hiden": 3})


KILLED = """
import torch
torch.set_num_threads(1)
from pathlib import Path
from tests.scripts.test_train_decoder import LONG, train
train(Path({folder!r}), "image", LONG[{kind!r}])
"""
LONG = {kind: entry(kind, epochs=60, patience=60) for kind in ("vae", "gcn")}
LONG["cnn"] = entry("cnn", epochs=40, patience=40, channels=16)


@pytest.mark.parametrize("kind", LONG)
def test_killed_in_mid_training_and_run_again(study, capsys, kind):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED.format(folder=str(study), kind=kind)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not list(study.glob("partial/*/state.json")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    train(study, "image", LONG[kind])
    assert "resuming after epoch" in capsys.readouterr().out
    train(study, "image", LONG[kind], "whole")
    torch.set_num_threads(before)
    whole, resumed = (study / out / "model.safetensors" for out in ("whole", "model"))
    assert whole.read_bytes() == resumed.read_bytes()
    assert not (study / "partial").exists()
