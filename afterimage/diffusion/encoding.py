"""Pictures to latents and back, captions to embeddings."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from afterimage.diffusion.model import Generator
from afterimage.errors import InputError

if TYPE_CHECKING:
    import torch


def resize(picture: np.ndarray, size: int, method: str) -> np.ndarray:
    """A uint8 picture (h, w, 3) at (size, size, 3); method is "lanczos" or "bicubic", as PIL's."""
    from PIL import Image

    if picture.shape[:2] == (size, size):
        return picture
    way = {"lanczos": Image.Resampling.LANCZOS, "bicubic": Image.Resampling.BICUBIC}[method]
    return np.asarray(Image.fromarray(picture).resize((size, size), way))


def encode_pictures(
    generator: Generator,
    pictures: np.ndarray,
    sources: "list[torch.Generator] | None" = None,
) -> "torch.Tensor":
    """Latents of pictures, times the model's scaling factor.

    Parameters
    ----------
    pictures : uint8 (n, h, w, 3)
    sources : one random generator per picture draws from the posterior; None takes its mean

    Returns
    -------
    float32 (n, channels, h / scale factor, w / scale factor), on the generator's device
    """
    import torch

    from afterimage.diffusion.noise import draw

    with torch.no_grad():
        pixels = torch.from_numpy(np.ascontiguousarray(pictures)).to(generator.device)
        pixels = pixels.permute(0, 3, 1, 2).float() / 255 * 2 - 1
        posterior = generator.vae.encode(pixels.to(generator.dtype)).latent_dist
        latents = posterior.mean.float()
        if sources is not None:
            noise = draw(sources, tuple(latents.shape[1:])).to(generator.device)
            latents = latents + posterior.std.float() * noise
        return latents * generator.vae.config.scaling_factor


def decode_latents(generator: Generator, latents: "torch.Tensor") -> "torch.Tensor":
    """Pictures of scaled latents (n, channels, h, w): uint8 (n, H, W, 3), on the device.

    Raises
    ------
    InputError
        if they are not finite: half precision overflowed, here or where the latents were made
    """
    import torch

    with torch.no_grad():
        latents = latents.to(generator.device) / generator.vae.config.scaling_factor
        pictures = generator.vae.decode(latents.to(generator.dtype)).sample.float()
        _require_finite(pictures)
        pictures = (pictures / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)
        return (pictures * 255).round().to(torch.uint8)


def _require_finite(pictures: "torch.Tensor") -> None:
    if not bool(pictures.isfinite().all()):
        raise InputError(
            "decoded pictures",
            "finite values",
            "NaN or infinite ones",
            "With float16, try execution.precision float32.",
        )


def embed_texts(generator: Generator, texts: Sequence[str], n_tokens: int) -> np.ndarray:
    """The text encoder's final hidden states, float32 (texts, n_tokens, width).

    Texts are cut or padded to `n_tokens`, start and end token included; no attention mask is given,
    as in Stable Diffusion's own training: the padding is part of the condition.
    """
    import torch

    tokens = generator.tokenizer(
        list(texts),
        padding="max_length",
        max_length=n_tokens,
        truncation=True,
        return_tensors="pt",
    ).input_ids
    with torch.no_grad():
        hidden = generator.text_encoder(tokens.to(generator.device)).last_hidden_state
    return hidden.float().cpu().numpy()
