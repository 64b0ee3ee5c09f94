"""The sampler against an independent float64 loop and against diffusers' own pipeline."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from afterimage.diffusion.encoding import embed_texts
from afterimage.diffusion.model import load_generator
from afterimage.diffusion.noise import draw, noise_seed, noise_source
from afterimage.diffusion.sampling import Schedule, denoise
from afterimage.errors import InputError
from tests.tiny_diffusion import N_TOKENS, build_unet, write_model

TEXTS = ["a red house", "a blue kite on snow", "sand"]
SHORT = Schedule(steps=10, strength=0.8)


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    return load_generator(str(write_model(tmp_path_factory.mktemp("model"))), device="cpu")


@pytest.fixture(scope="module")
def inputs(generator):
    start = torch.randn((3, 4, 8, 8), generator=torch.Generator().manual_seed(9))
    embeddings = torch.from_numpy(embed_texts(generator, [*TEXTS, ""], N_TOKENS))
    return start, embeddings[:3], embeddings[3]


def sources():
    return [noise_source(0, f"image{index}", 0) for index in range(3)]


def plain_ddim(unet, start, context, empty, noise, steps, strength, guidance):
    """DDIM with eta 0 written from its formula, float64, one picture at a time.

    Time steps are 1000/steps apart, offset by one; the step past the last goes to alpha-bar 0.
    """
    betas = np.linspace(np.sqrt(0.00085), np.sqrt(0.012), 1000) ** 2
    bars = np.cumprod(1 - betas)
    gap = 1000 // steps
    times = [gap * step + 1 for step in range(int(steps * strength))][::-1]
    pictures = []
    for index in range(len(noise)):
        bar = bars[times[0]]
        x = noise[index].double()
        if start is not None:
            x = np.sqrt(bar) * start[index].double() + np.sqrt(1 - bar) * x
        for time in times:
            with torch.no_grad():
                given = unet(x[None], time, context[index][None].double()).sample[0]
                free = unet(x[None], time, empty[None].double()).sample[0]
            error = free + guidance * (given - free)
            bar, next_bar = bars[time], bars[max(time - gap, 0)]
            clean = (x - np.sqrt(1 - bar) * error) / np.sqrt(bar)
            x = np.sqrt(next_bar) * clean + np.sqrt(1 - next_bar) * error
        pictures.append(x)
    return torch.stack(pictures)


@pytest.mark.parametrize("from_latents", [True, False])
def test_agrees_with_an_independent_float64_loop(generator, inputs, from_latents):
    start, context, empty = inputs
    noise = draw(sources(), (4, 8, 8))
    given = start if from_latents else None
    expected = plain_ddim(build_unet().double(), given, context, empty, noise, 50, 0.8, 5.0)
    double = replace(generator, unet=build_unet().double(), dtype=torch.float64)
    found = denoise(double, given, context, empty, sources(), Schedule())
    assert found.dtype == torch.float64
    size = float(expected.abs().max())
    # diffusers keeps the noise schedule in float32, which bounds the agreement.
    assert float((found - expected).abs().max()) < 1e-5 * size
    single = denoise(generator, given, context, empty, sources(), Schedule())
    assert float((single - expected).abs().max()) < 1e-4 * size
    assert float((expected - noise).abs().max()) > 0.1


@pytest.mark.parametrize("eta", [0.0, 0.7])
def test_agrees_with_the_img2img_pipeline(generator, inputs, eta):
    from diffusers import StableDiffusionImg2ImgPipeline

    start, context, empty = inputs
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
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        image=start,
        prompt_embeds=context,
        negative_prompt_embeds=empty.expand_as(context),
        strength=0.8,
        num_inference_steps=10,
        guidance_scale=5.0,
        eta=eta,
        generator=sources(),
        output_type="latent",
    ).images
    found = denoise(generator, start, context, empty, sources(), replace(SHORT, eta=eta))
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5)


class Counted(torch.nn.Module):
    """A UNet that notes what it is given."""

    def __init__(self, unet) -> None:
        super().__init__()
        self.unet, self.config, self.calls = unet, unet.config, []

    def forward(self, latents, time, encoder_hidden_states, return_dict):
        self.calls.append((len(latents), len(encoder_hidden_states), int(time)))
        return self.unet(
            latents, time, encoder_hidden_states=encoder_hidden_states, return_dict=return_dict
        )


def test_forty_of_fifty_steps_with_twice_the_batch(generator, inputs):
    start, context, empty = inputs
    counted = replace(generator, unet=Counted(generator.unet))
    denoise(counted, start, context, empty, sources(), Schedule())
    assert counted.unet.calls == [(6, 6, time) for time in range(781, 0, -20)]
    assert len(counted.unet.calls) == 40


def test_the_empty_text_needs_one_half_only(generator, inputs):
    """Guidance between two equal halves changes nothing, so one of them is enough."""
    start, _, empty = inputs
    counted = replace(generator, unet=Counted(generator.unet))
    alone = denoise(counted, start, None, empty, sources(), SHORT)
    assert {call[0] for call in counted.unet.calls} == {3}
    both = denoise(generator, start, empty.expand(3, -1, -1), empty, sources(), SHORT)
    assert torch.allclose(alone, both, atol=1e-5)


def test_every_input_matters(generator, inputs):
    start, context, empty = inputs
    base = denoise(generator, start, context, empty, sources(), SHORT)
    others = [
        denoise(generator, start.flip(0), context, empty, sources(), SHORT),
        denoise(generator, start, context.flip(0), empty, sources(), SHORT),
        denoise(generator, start, context, empty, sources()[::-1], SHORT),
        denoise(generator, start, context, empty, sources(), replace(SHORT, guidance=1.0)),
        denoise(generator, start, context, empty, sources(), replace(SHORT, strength=0.5)),
    ]
    for other in others:
        assert float((base[0] - other[0]).abs().max()) > 1e-4


@pytest.mark.parametrize("eta", [0.0, 0.5])
def test_batches_and_order_do_not_matter(generator, inputs, eta):
    start, context, empty = inputs
    schedule = replace(SHORT, eta=eta)
    together = denoise(generator, start, context, empty, sources(), schedule)
    for index in (2, 0, 1):
        one = slice(index, index + 1)
        alone = denoise(generator, start[one], context[one], empty, sources()[one], schedule)
        assert torch.allclose(alone[0], together[index], atol=1e-5)


def test_noise_is_a_digest_of_seed_image_and_sample():
    digest = hashlib.sha256(b"7\n2950\n3").hexdigest()
    assert noise_seed(7, "2950", 3) == int(digest[:8], 16)
    seeds = {noise_seed(s, i, n) for s in (0, 1) for i in ("1", "11") for n in (0, 1, 11)}
    assert len(seeds) == 12
    alone = draw([noise_source(0, "x", 1)], (4, 8, 8))[0]
    beside = draw([noise_source(0, "y", 0), noise_source(0, "x", 1)], (4, 8, 8))[1]
    assert torch.equal(alone, beside)


def test_a_strength_that_leaves_no_step():
    with pytest.raises(InputError, match="at least one step"):
        _ = Schedule(steps=50, strength=0.01).n_run
