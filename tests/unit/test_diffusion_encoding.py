"""Pictures and captions into latents and embeddings, checked against diffusers called directly."""

import numpy as np
import pytest
import torch
from PIL import Image

from afterimage.diffusion.captions import CaptionEmbedder
from afterimage.diffusion.encoding import decode_latents, embed_texts, encode_pictures, resize
from afterimage.diffusion.model import load_generator
from afterimage.diffusion.noise import noise_source
from afterimage.errors import InputError
from tests.tiny_diffusion import N_TOKENS, WIDTH, write_model


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    return load_generator(str(write_model(tmp_path_factory.mktemp("model"))), device="cpu")


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3)).astype(np.uint8)


def posterior(generator, pictures):
    pixels = torch.from_numpy(np.moveaxis(pictures, -1, 1) / 127.5 - 1).float()
    with torch.no_grad():
        return generator.vae.encode(pixels).latent_dist


def test_latents_are_the_posterior_mean_times_the_scale(generator, pictures):
    latents = encode_pictures(generator, pictures)
    assert latents.shape == (3, 4, 10, 10)
    expected = posterior(generator, pictures).mode() * 0.4
    assert torch.allclose(latents, expected, atol=1e-6)


def test_posterior_samples_are_seeded_by_image(generator, pictures):
    names = ["a", "b", "c"]
    sources = [noise_source(0, name, "posterior") for name in names]
    latents = encode_pictures(generator, pictures, sources)
    noise = torch.randn((4, 10, 10), generator=noise_source(0, "b", "posterior"))
    found = posterior(generator, pictures)
    expected = (found.mean[1] + found.std[1] * noise) * 0.4
    assert torch.allclose(latents[1], expected, atol=1e-6)


def test_decoding_divides_by_the_scale_and_rounds(generator):
    latents = torch.randn((2, 4, 5, 5), generator=torch.Generator().manual_seed(0))
    decoded = decode_latents(generator, latents)
    assert decoded.shape == (2, 20, 20, 3)
    assert decoded.dtype == torch.uint8
    with torch.no_grad():
        raw = generator.vae.decode(latents / 0.4).sample.permute(0, 2, 3, 1).numpy()
    expected = np.rint(np.clip((raw + 1) / 2, 0, 1) * 255)
    assert np.array_equal(decoded.numpy(), expected)
    assert len(np.unique(expected)) > 20


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_pictures_that_are_not_finite_are_refused(generator, value):
    latents = torch.zeros((2, 4, 5, 5))
    latents[1, 2, 3, 4] = value
    with pytest.raises(InputError, match="decoded pictures: expected finite values"):
        decode_latents(generator, latents)


def test_resizing_is_pils(pictures):
    image = Image.fromarray(pictures[0])
    for method, way in (("lanczos", Image.LANCZOS), ("bicubic", Image.BICUBIC)):
        assert np.array_equal(
            resize(pictures[0], 20, method), np.asarray(image.resize((20, 20), way))
        )
    assert np.array_equal(resize(pictures[0], 40, "lanczos"), pictures[0])


def test_embeddings_are_final_hidden_states_without_a_mask(generator):
    texts = ["a red house", "", "a kite on sand on snow on a blue house"]
    embeddings = embed_texts(generator, texts, N_TOKENS)
    assert embeddings.shape == (3, N_TOKENS, WIDTH)
    start, end = generator.tokenizer.bos_token_id, generator.tokenizer.eos_token_id
    words = [generator.tokenizer.convert_tokens_to_ids(f"{word}</w>") for word in texts[2].split()]
    rows = [
        [
            start,
            *words[:1],
            *generator.tokenizer.convert_tokens_to_ids(["red</w>", "house</w>"]),
            end,
            end,
        ],
        [start, end, end, end, end, end],
        [start, *words[:4], end],
    ]
    with torch.no_grad():
        expected = generator.text_encoder(torch.tensor(rows)).last_hidden_state.numpy()
    assert np.allclose(embeddings, expected, atol=1e-6)


def test_fewer_tokens_are_a_prefix(generator):
    """The mask is causal, so the positions before the cut do not see it."""
    short = embed_texts(generator, ["a red house on snow"], 5)
    long = embed_texts(generator, ["a red house on snow"], 8)
    assert np.allclose(short[:, :4], long[:, :4], atol=1e-6)
    assert not np.allclose(short[:, 4], long[:, 4], atol=1e-3)


def test_captions_are_averaged_and_each_text_is_embedded_once(generator, monkeypatch):
    blocks = [[["a red house", "a kite"], ["a kite"]], [["a kite", "a kite", "blue sand"]]]
    seen = []

    def counted(generator, texts, n_tokens):
        seen.extend(texts)
        return embed_texts(generator, texts, n_tokens)

    monkeypatch.setattr("afterimage.diffusion.captions.embed_texts", counted)
    embedder = CaptionEmbedder(generator, N_TOKENS, 2, blocks)
    first, second = (embedder.mean_embeddings(block) for block in blocks)
    assert sorted(seen) == ["a kite", "a red house", "blue sand"]
    each = embed_texts(generator, ["a red house", "a kite", "blue sand"], N_TOKENS)
    assert np.allclose(first[0], (each[0] + each[1]) / 2, atol=1e-6)
    assert np.allclose(first[1], each[1], atol=1e-6)
    assert np.allclose(second[0], (2 * each[1] + each[2]) / 3, atol=1e-6)
