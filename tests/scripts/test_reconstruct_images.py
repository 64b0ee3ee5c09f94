"""reconstruct_images: pictures by id, in any portions, and a killed job goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from afterimage.errors import InputError
from afterimage.stores import read_arrays, read_table, write_arrays
from tests.tiny_diffusion import EXECUTION, N_TOKENS, WIDTH, build_unet, write_model
from workflow_scripts.reconstruct_images import main

IDS = ["30", "4", "111", "25", "8", "dog_12s"]
CFG = {
    "revision": "v1.4",  # of a hub's model: nothing vouches for it in a folder
    "n_tokens": N_TOKENS,
    "seed": 0,
    "resolution": 48,
    "n_samples": 2,
    "steps": 10,
    "strength": 0.8,
    "guidance": 5.0,
    "eta": 0.0,
    "variant": "both",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model and the predictions for IDS, with z and c in different orders."""
    return write_predictions(tmp_path_factory.mktemp("predictions"))


def write_predictions(folder: Path) -> Path:
    write_model(folder / "model")
    rng = np.random.default_rng(0)
    z = rng.normal(size=(len(IDS), 4, 5, 5)).astype(np.float32)
    c = rng.normal(size=(len(IDS), N_TOKENS, WIDTH)).astype(np.float32)
    write_arrays(folder / "z.zarr", {"z": z, "image_id": np.array(IDS)})
    write_arrays(folder / "c.zarr", {"c": c, "image_id": np.array(IDS[::-1])})
    return folder


def arguments(folder, tmp_path, out="out", execution=None, **changes) -> dict:
    call = {"z": str(folder / "z.zarr"), "c": str(folder / "c.zarr"), "shard": 0, "n_shards": 1}
    call |= {key: changes.pop(key) for key in list(changes) if key in call}
    return call | {
        "out": str(tmp_path / out),
        "cfg": CFG | {"model": str(folder / "model")} | changes,
        "execution": EXECUTION | (execution or {}),
        "state": str(tmp_path / f"{out}.state"),
    }


def run(folder, tmp_path, **changes) -> Path:
    call = arguments(folder, tmp_path, **changes)
    main(**call)
    assert not Path(call["state"]).exists()
    return Path(call["out"])


def files(*folders: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for f in folders for path in sorted(f.glob("*.png"))}


def pixels(*folders: Path) -> dict[str, np.ndarray]:
    paths = [path for folder in folders for path in folder.glob("*.png")]
    return {path.name: np.asarray(Image.open(path)).astype(int) for path in paths}


def largest_difference(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> int:
    assert a.keys() == b.keys()
    return max(int(np.abs(a[name] - b[name]).max()) for name in a)


def test_pictures_manifest_and_sidecar(folder, tmp_path):
    out = run(folder, tmp_path)
    manifest = read_table(out / "manifest.csv")
    wanted = [(name, sample) for name in sorted(IDS) for sample in (0, 1)]
    assert list(zip(manifest["image_id"], manifest["sample"], strict=True)) == wanted
    assert set(manifest["file"]) == set(files(out))
    assert set(manifest["native_size"]) == {32}
    assert set(manifest["enlarged"]) == {"lanczos"}
    pictures = pixels(out)
    assert {picture.shape for picture in pictures.values()} == {(48, 48, 3)}
    assert largest_difference({"x": pictures["30_0.png"]}, {"x": pictures["30_1.png"]}) > 3
    assert Image.open(out / "30_0.png").info == {}
    sidecar = json.loads((out / "sidecar.json").read_text())
    assert sidecar["pictures"] == 12
    assert sidecar["pictures_per_second"] == pytest.approx(12 / sidecar["seconds"])
    assert sidecar["model"] == str(folder / "model")
    assert sidecar["revision"] is None
    assert {"revision", "peak_gpu_bytes", "device", "precision"} <= sidecar.keys()


def test_the_whole_way_by_diffusers_own_calls(folder, tmp_path):
    """Decode, enlarge, encode, noise, denoise, decode: one picture, written out."""
    from diffusers import StableDiffusionImg2ImgPipeline

    from afterimage.diffusion.encoding import embed_texts
    from afterimage.diffusion.model import load_generator
    from afterimage.diffusion.noise import noise_source

    out = run(folder, tmp_path, seed=1)
    generator = load_generator(str(folder / "model"), device="cpu")
    pipeline = StableDiffusionImg2ImgPipeline(
        vae=generator.vae,
        text_encoder=None,
        tokenizer=None,
        unet=generator.unet,
        scheduler=generator.new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    z, c = read_arrays(folder / "z.zarr"), read_arrays(folder / "c.zarr")
    latent = torch.from_numpy(z["z"][list(z["image_id"]).index("25")])[None]
    context = torch.from_numpy(c["c"][list(c["image_id"]).index("25")])[None]
    with torch.no_grad():
        small = generator.vae.decode(latent / 0.4).sample
        small = pipeline.image_processor.postprocess(small, output_type="pil")[0]
        start = pipeline.image_processor.preprocess(small.resize((32, 32), Image.BICUBIC))
        start = generator.vae.encode(start).latent_dist.mean * 0.4
    empty = torch.from_numpy(embed_texts(generator, [""], N_TOKENS))
    picture = pipeline(
        image=start,
        prompt_embeds=context,
        negative_prompt_embeds=empty,
        strength=0.8,
        num_inference_steps=10,
        guidance_scale=5.0,
        generator=noise_source(1, "25", 1),
    ).images[0]
    expected = np.asarray(picture.resize((48, 48), Image.LANCZOS)).astype(int)
    assert np.abs(pixels(out)["25_1.png"] - expected).max() <= 1
    noted = read_table(out / "manifest.csv").set_index("file").loc["25_1.png"]
    assert noted["noise_seed"] == noise_source(1, "25", 1).initial_seed()


def test_shards_and_batches_change_no_picture_by_more_than_rounding(folder, tmp_path):
    base = pixels(run(folder, tmp_path))
    alone = pixels(run(folder, tmp_path, out="alone", execution={"batch_size": 1}))
    assert largest_difference(base, alone) <= 1
    shards = [run(folder, tmp_path, out=f"s{n}", shard=n, n_shards=3) for n in range(3)]
    assert [len(files(shard)) for shard in shards] == [4, 4, 4]
    assert largest_difference(base, pixels(*shards)) <= 1
    manifest = pd.concat([read_table(shard / "manifest.csv") for shard in shards])
    assert manifest["file"].tolist() == read_table(tmp_path / "out/manifest.csv")["file"].tolist()


def test_more_shards_than_images(folder, tmp_path):
    out = run(folder, tmp_path, shard=6, n_shards=7)
    assert len(read_table(out / "manifest.csv")) == 0
    assert (out / "sidecar.json").is_file()


def test_the_variants_use_what_they_say(folder, tmp_path):
    base = pixels(run(folder, tmp_path))
    image = pixels(run(folder, tmp_path, out="i", variant="image_only", c=None))
    text = pixels(run(folder, tmp_path, out="t", variant="text_only", z=None))
    assert base.keys() == image.keys() == text.keys()
    assert min(largest_difference(base, other) for other in (image, text)) > 3
    assert largest_difference(image, text) > 3


def test_a_native_picture_is_not_resized(folder, tmp_path):
    out = run(folder, tmp_path, resolution=32)
    assert set(read_table(out / "manifest.csv")["enlarged"]) == {"no"}
    assert {picture.shape for picture in pixels(out).values()} == {(32, 32, 3)}


def test_memory_that_runs_out_loses_nothing(folder, tmp_path, monkeypatch):
    from afterimage.diffusion import reconstruction

    base = pixels(run(folder, tmp_path))
    usual = reconstruction.denoise

    def small_memory(generator, start, context, empty, sources, schedule):
        if len(sources) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return usual(generator, start, context, empty, sources, schedule)

    monkeypatch.setattr(reconstruction, "denoise", small_memory)
    out = run(folder, tmp_path, out="small", execution={"batch_size": 12})
    assert largest_difference(base, pixels(out)) <= 1
    assert json.loads((out / "sidecar.json").read_text())["largest_batch_that_fitted"] == 3


KILLED = """
import json, sys
import torch
torch.set_num_threads(int(sys.argv[2]))
from workflow_scripts.reconstruct_images import main
main(**json.loads(sys.argv[1]))
"""


def test_a_killed_job_goes_on_to_the_same_bytes(folder, tmp_path):
    settings = {"execution": {"batch_size": 2}, "steps": 50}
    whole = files(run(folder, tmp_path, out="whole", **settings))
    call = arguments(folder, tmp_path, out="killed", **settings)
    state = Path(call["state"])
    job = subprocess.Popen(
        [sys.executable, "-c", KILLED, json.dumps(call), str(torch.get_num_threads())],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONPATH": "."},
    )
    deadline = time.monotonic() + 400
    while not (state / "portion00001").exists():
        assert job.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    assert not Path(call["out"]).exists()
    kept = {path: path.stat().st_mtime_ns for path in state.glob("portion*/*.png")}
    assert 4 <= len(kept) < 12
    call["execution"]["batch_size"] = 5
    main(**call)
    out = Path(call["out"])
    assert files(out) == whole
    for path, written in kept.items():
        assert (out / path.name).stat().st_mtime_ns == written
    sidecar = json.loads((out / "sidecar.json").read_text())
    assert sidecar["pictures_kept_from_before"] == len(kept)
    assert sidecar["batch_size"] == 2


@pytest.mark.parametrize(
    "change",
    [
        {"code": "after"},
        {"execution": {"precision": "bfloat16"}},
        {"guidance": 4.0},
        {"z": 0.5},
        {"c": 0.5},
        {"image_id": "4000"},
        {"weights": "of another model"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_batches_of_anything_else_are_made_again(tmp_path, monkeypatch, change):
    from afterimage.diffusion import reconstruction

    folder = write_predictions(tmp_path / "predictions")
    usual, painted = reconstruction.Painter.paint, []

    def stops(self, members):
        painted.append(len(members))
        if len(painted) == 3:
            raise KeyboardInterrupt
        return usual(self, members)

    monkeypatch.setattr(reconstruction.Painter, "paint", stops)
    call = arguments(folder, tmp_path, execution={"batch_size": 2})
    with pytest.raises(KeyboardInterrupt):
        main(**call, code="before")
    # Both batches that were painted are kept, although the job ended before the third.
    assert len(list(Path(call["state"]).glob("portion*"))) == 2
    painted.clear()
    painted += [0, 0, 0]
    change = dict(change)
    code = change.pop("code", "before")
    replace_files(folder, change)
    execution = {"batch_size": 2} | change.pop("execution", {})
    main(**arguments(folder, tmp_path, execution=execution, **change), code=code)
    assert sum(painted) == 12


def replace_files(folder: Path, change: dict) -> None:
    """Make the change that is one of predictions or of weights; remove it from `change`."""
    for name in ("z", "c"):
        arrays = read_arrays(folder / f"{name}.zarr")
        arrays[name] = arrays[name] + np.float32(change.pop(name, 0))
        new_id = change.get("image_id", "4")  # "4000" is sorted to where "4" was
        arrays["image_id"] = np.where(arrays["image_id"] == "4", new_id, arrays["image_id"])
        write_arrays(folder / f"{name}.zarr", arrays)
    change.pop("image_id", None)
    if change.pop("weights", ""):
        build_unet(seed=9).save_pretrained(folder / "model/unet")


def test_a_batch_is_kept_before_the_next_is_done(folder, tmp_path, monkeypatch):
    """On a processor one picture may take minutes: a kill must not cost the one before too."""
    from afterimage.diffusion import reconstruction

    call = arguments(folder, tmp_path, execution={"batch_size": 4})
    usual, kept = reconstruction.Painter.paint, []

    def waits(self, members):
        deadline = time.monotonic() + 60
        while len(list(Path(call["state"]).glob("portion*"))) < len(kept):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        kept.append(len(members))
        return usual(self, members)

    monkeypatch.setattr(reconstruction.Painter, "paint", waits)
    main(**call)
    assert kept == [4, 4, 4]


def test_faults_are_found_before_a_model_is_loaded(folder, tmp_path, monkeypatch):
    def never(*arguments, **options):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("afterimage.diffusion.model.load_parts", never)
    for changes, message in (
        ({"n_tokens": 9}, "2 to 8"),
        ({"n_tokens": 5}, "c of shape"),
        ({"image_size": 24}, "z of shape"),
        ({"model": str(folder / "nothing")}, "no folder"),
        ({"strength": 0.01}, "at least one step"),
        ({"steps": 1000}, "at most 999"),
    ):
        with pytest.raises(InputError, match=message):
            run(folder, tmp_path, **changes)
