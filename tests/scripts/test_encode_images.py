"""encode_images: each split's pictures, by id, and a rerun goes on where it stopped."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from afterimage.errors import InputError
from afterimage.stores import read_arrays, read_attributes, write_table
from tests.tiny_diffusion import EXECUTION, Scenes, build_vae, write_model
from workflow_scripts import encode_images

IDS = ["7", "10", "3", "21", "4", "99", "100"]
SPLITS = ["train", "test", "train", "train", "validation", "train", "train"]


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A call of main, and the dataset that it reads."""
    dataset = Scenes(IDS)
    monkeypatch.setattr("afterimage.datasets.open_dataset", lambda settings, seed: dataset)
    monkeypatch.setattr(encode_images, "BLOCK", 2)
    rows = [(name, split) for name, split in zip(IDS, SPLITS, strict=True) for _ in range(3)]
    write_table(tmp_path / "trials.parquet", pd.DataFrame(rows, columns=["image_id", "split"]))
    cfg = {
        "dataset": {},
        "seed": 5,
        "model": str(write_model(tmp_path / "model")),
        "revision": None,
        "image_size": 20,
        "latent": "mean",
    }

    def run(out="z.zarr", splits=("train",), execution=EXECUTION, **changes):
        encode_images.main(
            str(tmp_path / "trials.parquet"),
            {split: str(tmp_path / (out if split == "train" else split + out)) for split in splits},
            cfg | changes,
            execution,
            str(tmp_path / "state"),
        )
        return read_arrays(tmp_path / out)

    run.dataset, run.folder = dataset, tmp_path
    return run


def test_latents_of_one_split_by_id(job):
    arrays = job()
    expected_ids = sorted(name for name, split in zip(IDS, SPLITS, strict=True) if split == "train")
    assert list(arrays["image_id"]) == expected_ids
    assert set(job.dataset.asked) == set(expected_ids)
    assert arrays["z"].shape == (5, 4, 5, 5)
    assert arrays["z"].dtype == np.float32
    vae = build_vae()
    for name, z in zip(arrays["image_id"], arrays["z"], strict=True):
        picture = Image.fromarray(job.dataset.pictures[name]).resize((20, 20), Image.LANCZOS)
        pixels = torch.from_numpy(np.asarray(picture) / 127.5 - 1).float().permute(2, 0, 1)
        with torch.no_grad():
            expected = vae.encode(pixels[None]).latent_dist.mean[0].numpy() * 0.4
        assert np.allclose(z, expected, atol=1e-5)
    assert read_attributes(job.folder / "z.zarr")["scaling_factor"] == 0.4
    assert not (job.folder / "state").exists()


def test_a_poisoned_picture_of_another_split_changes_nothing(job):
    every = ("train", "validation", "test")
    before, test = job("one.zarr", every), read_arrays(job.folder / "testone.zarr")
    job.dataset.pictures["10"][:] = 0
    job.dataset.pictures["4"][:] = 255
    after = job("two.zarr", every)
    assert before["z"].tobytes() == after["z"].tobytes()
    assert test["image_id"].tolist() == ["10"]
    assert not np.array_equal(test["z"], read_arrays(job.folder / "testtwo.zarr")["z"])


def test_an_interrupted_job_goes_on(job):
    whole = job("whole.zarr")["z"]
    usual = Scenes.image

    def fails(name):
        if name == "99":
            raise KeyboardInterrupt
        return usual(job.dataset, name)

    job.dataset.image = fails
    with pytest.raises(KeyboardInterrupt):
        job()
    assert not (job.folder / "z.zarr").exists()
    kept = sorted(path.name for path in (job.folder / "state").glob("portion*"))
    assert kept
    del job.dataset.image
    job.dataset.asked.clear()
    again = job(execution=EXECUTION | {"batch_size": 1})["z"]
    assert again.tobytes() == whole.tobytes()
    assert len(job.dataset.asked) == 5 - 2 * len(kept)


def test_blocks_of_other_settings_are_not_used(job):
    usual = Scenes.image

    def fails(name):
        if name == "99":
            raise KeyboardInterrupt
        return usual(job.dataset, name)

    job.dataset.image = fails
    with pytest.raises(KeyboardInterrupt):
        job()
    del job.dataset.image
    half = job(execution=EXECUTION | {"precision": "bfloat16"})["z"]
    whole = job("whole.zarr", execution=EXECUTION | {"precision": "bfloat16"})["z"]
    assert half.tobytes() == whole.tobytes()
    job.dataset.image = fails
    with pytest.raises(KeyboardInterrupt):
        job()
    del job.dataset.image
    sampled = job(latent="sample")["z"]
    assert np.array_equal(sampled, job("fresh.zarr", latent="sample")["z"])
    assert not np.allclose(sampled, job("mean.zarr")["z"], atol=1e-3)


def test_faults(job):
    with pytest.raises(InputError, match="multiple of 4"):
        job(image_size=21)
    with pytest.raises(InputError, match="images of split 'tset'"):
        job(splits=["tset"])
