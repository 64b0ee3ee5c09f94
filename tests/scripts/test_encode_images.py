"""encode_images: each split's pictures, by id, and a rerun goes on where it stopped."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from afterimage.diffusion.encoding import encode_pictures, resize
from afterimage.diffusion.model import load_generator
from afterimage.diffusion.noise import noise_source
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
        "revision": "v1.4",  # of a hub's model: nothing vouches for it in a folder
        "image_size": 20,
        "latent": "mean",
    }

    def run(out="z.zarr", splits=("train",), execution=EXECUTION, code="", **changes):
        encode_images.main(
            str(tmp_path / "trials.parquet"),
            {split: str(tmp_path / (out if split == "train" else split + out)) for split in splits},
            cfg | changes,
            execution,
            str(tmp_path / "state"),
            code,
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
    attributes = read_attributes(job.folder / "z.zarr")
    assert attributes["scaling_factor"] == 0.4
    assert attributes["revision"] is None
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


def interrupted(job) -> None:
    """A call that ends at image 99, with the blocks 100, 21 and 3, 7 kept."""

    def fails(name):
        if name == "99":
            raise KeyboardInterrupt
        return Scenes.image(job.dataset, name)

    job.dataset.image = fails
    with pytest.raises(KeyboardInterrupt):
        job()
    del job.dataset.image
    assert not (job.folder / "z.zarr").exists()
    assert len(list((job.folder / "state").glob("portion*"))) == 2


@pytest.fixture
def encoded(monkeypatch):
    """The numbers of pictures that went through the VAE together, call by call."""
    numbers: list[int] = []

    def counted(generator, pictures, sources=None):
        numbers.append(len(pictures))
        return encode_pictures(generator, pictures, sources)

    monkeypatch.setattr("afterimage.diffusion.encoding.encode_pictures", counted)
    return numbers


def test_an_interrupted_job_goes_on(job, encoded):
    whole = job("whole.zarr")["z"]
    interrupted(job)
    encoded.clear()
    again = job(execution=EXECUTION | {"batch_size": 1})["z"]
    assert again.tobytes() == whole.tobytes()
    assert sum(encoded) == 5 - 4


def test_a_picture_that_was_replaced_is_encoded_anew(job, encoded):
    interrupted(job)
    job.dataset.pictures["21"] = 255 - job.dataset.pictures["21"]
    encoded.clear()
    again = job()["z"]
    assert sum(encoded) == 5 - 2
    assert again.tobytes() == job("fresh.zarr")["z"].tobytes()


@pytest.mark.parametrize(
    "change",
    [
        {"execution": EXECUTION | {"precision": "bfloat16"}},
        {"latent": "sample"},
        {"code": "after"},
        {"splits": ("validation", "train", "test")},
        {"weights": "of another model"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_blocks_of_anything_else_are_made_again(job, encoded, change):
    interrupted(job)
    change = dict(change)
    if change.pop("weights", ""):
        path = job.folder / "model/vae/diffusion_pytorch_model.safetensors"
        size = path.stat().st_size
        build_vae(seed=9).save_pretrained(path.parent)
        assert path.stat().st_size == size
    encoded.clear()
    again = job(**change)["z"]
    assert sum(encoded) == (7 if "splits" in change else 5)
    assert again.tobytes() == job("fresh.zarr", **change)["z"].tobytes()


def test_posterior_samples_come_from_the_seed_and_the_image(job):
    generator = load_generator(str(job.folder / "model"), device="cpu", parts=("vae",))
    arrays = job(latent="sample", seed=1)
    for name, z in zip(arrays["image_id"], arrays["z"], strict=True):
        picture = resize(job.dataset.pictures[name], 20, "lanczos")[None]
        expected = encode_pictures(generator, picture, [noise_source(1, name, "posterior")])
        assert np.allclose(z, expected[0], atol=1e-5)


def test_memory_that_runs_out_changes_no_sample(job, monkeypatch):
    """The attempt that failed had drawn its noise: the next draws the same."""
    from afterimage.diffusion import noise

    settings = {"latent": "sample", "execution": EXECUTION | {"batch_size": 2}}
    whole = job("whole.zarr", **settings)["z"]
    usual, failed = noise.draw, []

    def runs_out(sources, shape):
        drawn = usual(sources, shape)
        if len(sources) == 2:
            failed.append(drawn)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return drawn

    monkeypatch.setattr(noise, "draw", runs_out)
    assert np.allclose(job(**settings)["z"], whole, atol=1e-5)
    assert failed


def test_latents_that_are_not_finite_are_refused(job, monkeypatch):
    from afterimage.diffusion import encoding

    def overflows(generator, pictures, sources=None):
        latents = encode_pictures(generator, pictures, sources)
        latents[-1, 0, 0, 0] = float("nan")
        return latents

    monkeypatch.setattr(encoding, "encode_pictures", overflows)
    with pytest.raises(InputError, match="latent z of image 21: expected finite values"):
        job()


def test_faults(job):
    with pytest.raises(InputError, match="multiple of 4"):
        job(image_size=21)
    with pytest.raises(InputError, match="images of split 'tset'"):
        job(splits=["tset"])
