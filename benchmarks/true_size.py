"""The whole way at Stable Diffusion v1.4's true architecture, with random weights.

    python benchmarks/true_size.py                 # 40 of 50 steps; a GPU, or an hour of CPU
    python benchmarks/true_size.py --native-size 64 --steps 5    # the same 1.1 billion weights and
                                                   # 15 tokens on small pictures: a CPU's minute

Writes a model folder of v1.4's sizes (2.1 GB in half precision) to a temporary place, then runs the
scripts encode_images, encode_captions and reconstruct_images on it at 320 px and 15 tokens, and
checks the numbers of parameters, the shapes and that pictures come out. Run it once per release.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from afterimage.compat import ensure_torchvision

SIZES: dict[str, dict[str, Any]] = {
    "true": {
        "unet": {"sample_size": 64, "block_out_channels": [320, 640, 1280, 1280]},
        "cross_attention_dim": 768,
        "vae": {"sample_size": 512, "block_out_channels": [128, 256, 512, 512]},
        "layers_per_block": 2,
        "norm_num_groups": 32,
        "attention_head_dim": 8,
        "scaling_factor": 0.18215,
        "text": {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12},
        "num_attention_heads": 12,
        "positions": 77,
        "vocabulary": 49408,
        "parameters": {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480},
    },
    # The demo's: resources/demo_diffusion
    "small": {
        "unet": {"sample_size": 16, "block_out_channels": [32, 64, 128]},
        "cross_attention_dim": 64,
        "vae": {"sample_size": 128, "block_out_channels": [16, 32, 64, 64]},
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "attention_head_dim": 4,
        "scaling_factor": 0.827247975642725,
        "text": {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2},
        "num_attention_heads": 4,
        "positions": 15,
        "vocabulary": 730,
        "parameters": {"unet": 4_132_836, "vae": 978_103, "text_encoder": 147_776},
    },
}
SCHEDULER = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
}


def build(part: str, size: dict[str, Any]) -> Any:
    """One network with random weights: "unet", "vae" or "text_encoder"."""
    ensure_torchvision()
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from diffusers.utils import logging
    from transformers import CLIPTextConfig, CLIPTextModel

    logging.set_verbosity_error()  # it warns of every change of precision
    if part == "unet":
        levels = len(size["unet"]["block_out_channels"])
        with_text, without = ("CrossAttnDownBlock2D", "DownBlock2D")
        # v1.4 attends to the text at all levels but the lowest, the small one at all but the first.
        down = [with_text] * (levels - 1) + [without]
        if size["layers_per_block"] == 1:
            down = down[::-1]
        return UNet2DConditionModel(
            **size["unet"],
            down_block_types=down,
            up_block_types=[name.replace("Down", "Up") for name in reversed(down)],
            layers_per_block=size["layers_per_block"],
            cross_attention_dim=size["cross_attention_dim"],
            attention_head_dim=size["attention_head_dim"],
            norm_num_groups=size["norm_num_groups"],
        )
    if part == "vae":
        levels = len(size["vae"]["block_out_channels"])
        return AutoencoderKL(
            **size["vae"],
            down_block_types=["DownEncoderBlock2D"] * levels,
            up_block_types=["UpDecoderBlock2D"] * levels,
            layers_per_block=size["layers_per_block"],
            norm_num_groups=size["norm_num_groups"],
            scaling_factor=size["scaling_factor"],
        )
    return CLIPTextModel(
        CLIPTextConfig(
            **size["text"],
            num_attention_heads=size["num_attention_heads"],
            max_position_embeddings=size["positions"],
            vocab_size=size["vocabulary"],
            projection_dim=size["text"]["hidden_size"],
            bos_token_id=size["vocabulary"] - 2,
            eos_token_id=size["vocabulary"] - 1,
            pad_token_id=size["vocabulary"] - 1,
        )
    )


def write_model(folder: Path, size: dict[str, Any]) -> dict[str, int]:
    """Write a model folder in half precision; give the number of parameters of each part."""
    import torch

    counts = {}
    torch.manual_seed(0)
    for part in ("unet", "vae", "text_encoder"):
        network = build(part, size)
        counts[part] = sum(parameter.numel() for parameter in network.parameters())
        network.half().save_pretrained(folder / part)
    (folder / "scheduler").mkdir()
    (folder / "scheduler/scheduler_config.json").write_text(json.dumps(SCHEDULER))
    _write_tokenizer(folder / "tokenizer", size)
    return counts


def _write_tokenizer(folder: Path, size: dict[str, Any]) -> None:
    """A byte-pair tokenizer that spells words in letters, with as many ids as the real one."""
    letters = [chr(code) for code in range(33, 127)]
    tokens = [*letters, *(letter + "</w>" for letter in letters)]
    tokens += [f"unused{index}" for index in range(size["vocabulary"] - 2 - len(tokens))]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    special = {"bos_token": tokens[-2], "eos_token": tokens[-1]}
    special |= {"pad_token": tokens[-1], "unk_token": tokens[-1]}
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": size["positions"]}
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | special))


def random_generator(size: dict[str, Any], device: str, precision: str) -> Any:
    """A Generator with random VAE and UNet in memory, as `load_generator` would load it."""
    import torch

    from afterimage.diffusion.files import ModelFiles
    from afterimage.diffusion.model import Generator, choose_dtype

    dtype = choose_dtype(precision, device)
    torch.manual_seed(0)
    parts = {}
    for part in ("vae", "unet"):
        with torch.device(device):
            parts[part] = build(part, size).to(dtype).eval().requires_grad_(False)
    configs = {
        "unet/config.json": {**size["unet"], "in_channels": 4},
        "vae/config.json": {**size["vae"], "latent_channels": 4},
        "text_encoder/config.json": size["text"],
        "scheduler/scheduler_config.json": SCHEDULER,
    }
    files = ModelFiles(Path("random"), "random weights", None, configs)
    return Generator(files, device, dtype, **parts)


def write_inputs(folder: Path, n_images: int) -> dict[str, Any]:
    """Pictures, captions and trials in the layout of one's own data; gives dataset settings."""
    from PIL import Image

    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    (folder / "s1").mkdir()
    captions, trials = ["image_id,caption"], ["trial,image_id,session,run,split"]
    for index in range(n_images):
        rough = rng.integers(0, 256, (9, 9, 3)).astype(np.uint8)
        Image.fromarray(rough).resize((425, 425)).save(folder / "images" / f"{index}.png")
        captions += [f"{index},a picture of something" for _ in range(2)]
        trials.append(f"{index},{index},1,1,test")
    (folder / "captions.csv").write_text("\n".join(captions) + "\n")
    (folder / "s1/trials.csv").write_text("\n".join(trials) + "\n")
    return {"format": "custom", "root": str(folder), "subjects": ["s1"], "text": "captions"}


def run(folder: Path, size: dict[str, Any], image_size: int, steps: int, device: str) -> dict:
    """Run the three scripts on one picture and check what they write."""
    import pandas as pd
    from PIL import Image

    from afterimage.stores import read_arrays, read_json, write_table
    from workflow_scripts import encode_captions, encode_images, reconstruct_images

    counts = write_model(folder / "model", size)
    for part, expected in size["parameters"].items():
        assert counts[part] == expected, f"{part}: {counts[part]} parameters, not {expected}"
    dataset = write_inputs(folder / "data", 1)
    trials = str(folder / "trials.parquet")
    write_table(trials, pd.DataFrame({"image_id": ["0"], "split": ["test"]}))
    model = {"model": str(folder / "model"), "revision": None, "seed": 0, "n_tokens": 15}
    execution = {"device": device, "precision": "auto", "batch_size": 0, "compile": False}
    execution["workers"] = 1
    z, c, out = (str(folder / name) for name in ("z.zarr", "c.zarr", "pictures"))
    state = str(folder / "state")
    encoding = {**model, "dataset": dataset, "image_size": image_size, "latent": "mean"}
    began = time.monotonic()
    encode_images.main(trials, {"test": z}, encoding, execution, state)
    encode_captions.main(trials, {"test": c}, encoding, execution, state)
    side, width = image_size // 8, size["cross_attention_dim"]
    assert read_arrays(z)["z"].shape == (1, 4, side, side)
    assert read_arrays(c)["c"].shape == (1, 15, width)
    sampling = {"steps": steps, "strength": 0.8, "guidance": 5.0, "eta": 0.0, "n_samples": 1}
    cfg = {**model, **sampling, "resolution": 512, "variant": "both", "image_size": image_size}
    encoded = time.monotonic()
    reconstruct_images.main(z, c, out, cfg, execution, state)
    seconds = {"encode": encoded - began, "reconstruct": time.monotonic() - encoded}
    picture = np.asarray(Image.open(Path(out) / "0_0.png"))
    assert picture.shape == (512, 512, 3)
    assert picture.std() > 0
    sidecar = read_json(Path(out) / "sidecar.json")
    native = size["unet"]["sample_size"] * 8
    assert sidecar["native_size"] == native
    return {
        "parameters": counts,
        "z": [4, side, side],
        "c": [15, width],
        "native_size": native,
        "steps_run": int(steps * 0.8),
        "seconds": {key: round(value, 1) for key, value in seconds.items()},
        "peak_memory_bytes": sidecar["peak_gpu_bytes"] or _peak_host_bytes(),
        "device": sidecar["device"],
        "precision": sidecar["precision"],
    }


def _peak_host_bytes() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Stable Diffusion v1.4's sizes, random weights")
    parser.add_argument("--size", choices=sorted(SIZES), default="true")
    parser.add_argument("--native-size", type=int, default=0, help="pixels; 0: the model's own")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    size = SIZES[arguments.size]
    native = arguments.native_size or size["vae"]["sample_size"]
    size = size | {"unet": size["unet"] | {"sample_size": native // 8}}
    image_size = native * 5 // 8  # 320 of 512
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), size, image_size, arguments.steps, arguments.device)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
