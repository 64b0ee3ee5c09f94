"""The shapes of Stable Diffusion v1.4's architecture with 15 tokens, without its memory."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks.true_size import SIZES, build

TRUE = SIZES["true"]
DEMO = Path(__file__).parents[2] / "resources/demo_diffusion"


@pytest.fixture(scope="module")
def networks():
    """The three networks on the meta device: all shapes, no values."""
    with torch.device("meta"):
        return {part: build(part, TRUE).eval() for part in TRUE["parameters"]}


def test_the_numbers_of_parameters_are_the_published_ones(networks):
    for part, expected in TRUE["parameters"].items():
        assert sum(parameter.numel() for parameter in networks[part].parameters()) == expected


@torch.no_grad()
def test_shapes_from_320_pixels_and_15_tokens_to_512_pixels(networks):
    with torch.device("meta"):
        z = networks["vae"].encode(torch.empty(1, 3, 320, 320)).latent_dist.mean
        tokens = torch.zeros(1, 15, dtype=torch.long)
        c = networks["text_encoder"](tokens).last_hidden_state
        start = networks["vae"].encode(torch.empty(1, 3, 512, 512)).latent_dist.mean
        step = networks["unet"](start, torch.empty(1), encoder_hidden_states=c).sample
        picture = networks["vae"].decode(step).sample
    assert z.shape == (1, 4, 40, 40)
    assert c.shape == (1, 15, 768)
    assert start.shape == step.shape == (1, 4, 64, 64)
    assert picture.shape == (1, 3, 512, 512)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_the_small_sizes_are_the_demos(part):
    with torch.device("meta"):
        config = build(part, SIZES["small"]).config
    built = config.to_dict() if part == "text_encoder" else config
    shipped = json.loads((DEMO / part / "config.json").read_text())
    about = {"_class_name", "_diffusers_version", "transformers_version", "architectures", "dtype"}
    assert len(set(shipped) - about) > 10
    for name in set(shipped) - about:
        found = built[name]
        assert (list(found) if isinstance(found, tuple) else found) == shipped[name], name
