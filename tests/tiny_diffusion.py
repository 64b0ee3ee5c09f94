"""A very small Stable Diffusion with random weights, and a dataset, for tests."""

import json
from pathlib import Path

import numpy as np

from afterimage.compat import ensure_torchvision

WIDTH = 16
N_TOKENS = 6
WORDS = ["a", "red", "blue", "house", "kite", "on", "sand", "snow"]

# What Stable Diffusion v1.4 ships as scheduler/scheduler_config.json.
PNDM = {
    "_class_name": "PNDMScheduler",
    "_diffusers_version": "0.2.2",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}


def build_vae(seed: int = 0):
    """A VAE that scales by 4."""
    import torch

    ensure_torchvision()
    from diffusers import AutoencoderKL

    torch.manual_seed(seed)
    return AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 3,
        up_block_types=["UpDecoderBlock2D"] * 3,
        block_out_channels=[8, 8, 16],
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=32,
        scaling_factor=0.4,
    ).eval()


def build_unet(seed: int = 1, width: int = WIDTH):
    """A UNet for latents of 8 x 8."""
    import torch

    ensure_torchvision()
    from diffusers import UNet2DConditionModel

    torch.manual_seed(seed)
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=[8, 16],
        layers_per_block=1,
        down_block_types=["DownBlock2D", "CrossAttnDownBlock2D"],
        up_block_types=["CrossAttnUpBlock2D", "UpBlock2D"],
        cross_attention_dim=width,
        attention_head_dim=2,
        norm_num_groups=4,
    ).eval()


def tokenizer_tables() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """CLIP's byte-pair tables, with each of WORDS as one token."""
    letters = [chr(code) for code in range(33, 127)]
    tokens = [*letters, *(letter + "</w>" for letter in letters)]
    merges = []
    for word in WORDS:
        pieces = [*word[:-1], word[-1] + "</w>"]
        while len(pieces) > 1:
            pair = (pieces[0], pieces[1])
            if pair not in merges:
                merges.append(pair)
            pieces = [pair[0] + pair[1], *pieces[2:]]
        tokens += [first + second for first, second in merges]
    tokens = [*dict.fromkeys(tokens), "<|startoftext|>", "<|endoftext|>"]
    return {token: index for index, token in enumerate(tokens)}, merges


def build_text_encoder(n_vocabulary: int, seed: int = 2):
    """A CLIP text encoder of two layers and 8 positions."""
    import torch

    ensure_torchvision()
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(seed)
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=n_vocabulary,
            hidden_size=WIDTH,
            intermediate_size=32,
            projection_dim=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=8,
            bos_token_id=n_vocabulary - 2,
            eos_token_id=n_vocabulary - 1,
            pad_token_id=n_vocabulary - 1,
        )
    ).eval()


def write_model(folder: Path) -> Path:
    """Write the model in the layout of Stable Diffusion v1.4's repository."""
    vocabulary, merges = tokenizer_tables()
    build_vae().save_pretrained(folder / "vae")
    build_unet().save_pretrained(folder / "unet")
    build_text_encoder(len(vocabulary)).save_pretrained(folder / "text_encoder")
    write_tokenizer(folder / "tokenizer", vocabulary, merges)
    (folder / "scheduler").mkdir()
    (folder / "scheduler/scheduler_config.json").write_text(json.dumps(PNDM))
    return folder


def write_tokenizer(
    folder: Path, vocabulary: dict[str, int], merges: list[tuple[str, str]]
) -> None:
    """Write a tokenizer as v1.4 has it: vocab.json, merges.txt and two small JSON files."""
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    special = {
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
    }
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    settings = {
        "add_prefix_space": False,
        "do_lower_case": True,
        "errors": "replace",
        "model_max_length": 77,
        "tokenizer_class": "CLIPTokenizer",
        **special,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


class Scenes:
    """A dataset of random pictures with captions; image ids are given."""

    def __init__(self, ids: list[str]) -> None:
        rng = np.random.default_rng(3)
        self.pictures = {
            name: rng.integers(0, 256, (50, 50, 3)).astype(np.uint8) for name in sorted(ids)
        }
        self.texts = {
            name: [" ".join(rng.choice(WORDS, 3)) for _ in range(int(rng.integers(1, 6)))]
            + ["a house on sand"]
            for name in sorted(ids)
        }
        self.asked: list[str] = []

    def image(self, image_id: str) -> np.ndarray:
        """uint8 (50, 50, 3)."""
        self.asked.append(image_id)
        return self.pictures[image_id]

    def captions(self, image_id: str) -> list[str]:
        """One to five random captions and one that all images share."""
        self.asked.append(image_id)
        return self.texts[image_id]


EXECUTION = {
    "device": "cpu",
    "precision": "auto",
    "batch_size": 0,
    "compile": False,
    "workers": 1,
}
