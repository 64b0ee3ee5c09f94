"""encode_captions: the mean over all captions of each image, split by split."""

import numpy as np
import pandas as pd
import pytest
import torch

from afterimage.errors import InputError
from afterimage.stores import read_arrays, write_table
from tests.tiny_diffusion import (
    EXECUTION,
    N_TOKENS,
    WIDTH,
    Scenes,
    build_text_encoder,
    tokenizer_tables,
    write_model,
)
from workflow_scripts import encode_captions

IDS = [f"{number}" for number in range(9)]


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A call of main, and the dataset that it reads; image 4 is a test image."""
    dataset = Scenes(IDS)
    monkeypatch.setattr("afterimage.datasets.open_dataset", lambda settings, seed: dataset)
    monkeypatch.setattr(encode_captions, "BLOCK", 3)
    rows = [(name, "test" if name == "4" else "train") for name in reversed(IDS)]
    write_table(tmp_path / "trials.parquet", pd.DataFrame(rows, columns=["image_id", "split"]))
    cfg = {
        "dataset": {},
        "seed": 5,
        "model": str(write_model(tmp_path / "model")),
        "revision": None,
        "n_tokens": N_TOKENS,
    }

    def run(out="c.zarr", splits=("train",), execution=EXECUTION, code="", **changes):
        encode_captions.main(
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


def test_captions_are_averaged_whatever_their_number(job):
    from transformers import CLIPTextModel, CLIPTokenizer

    arrays = job()
    assert list(arrays["image_id"]) == [name for name in IDS if name != "4"]
    assert set(job.dataset.asked) == set(arrays["image_id"])
    assert arrays["c"].shape == (8, N_TOKENS, WIDTH)
    folder = job.folder / "model"
    tokenizer = CLIPTokenizer.from_pretrained(str(folder / "tokenizer"))
    encoder = CLIPTextModel.from_pretrained(str(folder / "text_encoder"))
    assert len({len(texts) for texts in job.dataset.texts.values()}) > 1
    for name, c in zip(arrays["image_id"], arrays["c"], strict=True):
        tokens = [
            tokenizer(text, padding="max_length", max_length=N_TOKENS, truncation=True).input_ids
            for text in job.dataset.texts[name]
        ]
        with torch.no_grad():
            each = [encoder(torch.tensor([row])).last_hidden_state[0].numpy() for row in tokens]
        assert np.allclose(c, np.mean(each, axis=0), atol=1e-5)


def test_poisoned_test_captions_change_no_training_embedding(job):
    for number, name in enumerate(IDS):
        job.dataset.texts[name] = ["a thing", f"a thing of kind {number}"]
    before, test = job("one.zarr", ("train", "test")), read_arrays(job.folder / "testone.zarr")
    job.dataset.texts["4"] = ["a thing of kind 1", "a thing of kind 2", "poison"]
    after = job("two.zarr", ("train", "test"))
    assert before["c"].tobytes() == after["c"].tobytes()
    assert not np.array_equal(test["c"], read_arrays(job.folder / "testtwo.zarr")["c"])


def interrupt(job, monkeypatch):
    """Run a job until its second block; gives the list of blocks, which later runs extend."""
    from afterimage.diffusion import captions

    usual, blocks = captions.CaptionEmbedder.mean_embeddings, []

    def fails(self, block):
        blocks.append(block)
        if len(blocks) == 2:
            raise KeyboardInterrupt
        return usual(self, block)

    monkeypatch.setattr(captions.CaptionEmbedder, "mean_embeddings", fails)
    with pytest.raises(KeyboardInterrupt):
        job()
    return blocks


def test_an_interrupted_job_goes_on(job, monkeypatch):
    whole = job("whole.zarr")["c"]
    blocks = interrupt(job, monkeypatch)
    assert not (job.folder / "c.zarr").exists()
    again = job(execution=EXECUTION | {"batch_size": 2})["c"]
    assert again.tobytes() == whole.tobytes()
    assert len(blocks) == 2 + 2


@pytest.mark.parametrize("change", ["captions", "model files", "code", "tokens"])
def test_blocks_of_anything_else_are_made_again(job, monkeypatch, change):
    blocks = interrupt(job, monkeypatch)
    if change == "captions":
        job.dataset.texts["0"] = ["a kite", "a kite on snow"]
    if change == "model files":
        path = job.folder / "model/text_encoder"
        size = (path / "model.safetensors").stat().st_size
        n_vocabulary = len(tokenizer_tables()[0])
        build_text_encoder(n_vocabulary, seed=9).save_pretrained(path)
        assert (path / "model.safetensors").stat().st_size == size
    options = {"code": {"code": "after"}, "tokens": {"n_tokens": 5}}.get(change, {})
    blocks[:] = [[], []]
    again = job(**options)["c"]
    assert len(blocks) == 2 + 3
    assert again.tobytes() == job("fresh.zarr", **options)["c"].tobytes()


def test_faults(job):
    with pytest.raises(InputError, match="2 to 8"):
        job(n_tokens=15)
    job.dataset.texts["6"] = []
    with pytest.raises(InputError, match="none for 1 images, first 6"):
        job()
