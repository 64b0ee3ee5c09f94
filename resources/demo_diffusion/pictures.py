"""Drawn scenes and their texts as the models see them, and how well pictures come back."""

import numpy as np
import torch
import torch.nn.functional as F
from parts import N_TOKENS, SIZE

from afterimage.simulation import scenes


def scenes_and_pictures(n: int, seed: int, size: int = SIZE):
    rng = np.random.default_rng(seed)
    drawn = [scenes.sample_scene(rng) for _ in range(n)]
    return drawn, np.stack([scenes.draw(scene, size) for scene in drawn])


def to_tensor(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def psnr(model, pictures: torch.Tensor) -> float:
    with torch.no_grad():
        latent = model.encode(pictures).latent_dist.mean
        back = model.decode(latent).sample.clamp(-1, 1)
    per_picture = F.mse_loss(back, pictures, reduction="none").mean((1, 2, 3)) / 4
    return float((-10 * per_picture.log10()).mean())


def encode_all(vae, pictures: np.ndarray) -> torch.Tensor:
    parts = []
    with torch.no_grad():
        for first in range(0, len(pictures), 64):
            batch = to_tensor(pictures[first : first + 64])
            parts.append(vae.encode(batch).latent_dist.mean)
    return torch.cat(parts)


def texts_of(scene: scenes.Scene, rng: np.random.Generator) -> list[str]:
    """What one picture is called in training: captions, a definition, a word, or nothing."""
    luck = rng.random()
    if luck < 0.12:
        return [""]
    if len(scene.things) == 1 and luck < 0.3:
        kind = scene.things[0].kind
        return [kind if luck < 0.15 else scenes.DEFINITIONS[kind]]
    return scenes.captions(scene, rng, int(rng.integers(1, 6)))


def embed(text_encoder, tokenizer, texts: list[list[str]]) -> torch.Tensor:
    """Mean embedding of each picture's texts, as the workflow averages an image's captions."""
    flat = [text for group in texts for text in group]
    tokens = tokenizer(
        flat, padding="max_length", max_length=N_TOKENS, truncation=True, return_tensors="pt"
    ).input_ids
    hidden = text_encoder(tokens).last_hidden_state
    owner = torch.repeat_interleave(
        torch.arange(len(texts)), torch.tensor([len(group) for group in texts])
    )
    mean = torch.zeros(len(texts), *hidden.shape[1:]).index_add(0, owner, hidden)
    return mean / torch.bincount(owner)[:, None, None]
