"""How well the shipped model does on scenes that it was not trained on."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from parts import build_scheduler
from pictures import embed, encode_all, psnr, scenes_and_pictures, to_tensor

from afterimage.simulation import scenes


def measure(folder: Path, n: int = 200, seed: int = 1000) -> None:
    """Say how well the shipped model shows new scenes: autoencoder, then noise prediction."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    torch.manual_seed(seed)
    vae = AutoencoderKL.from_pretrained(folder / "vae").float()
    unet = UNet2DConditionModel.from_pretrained(folder / "unet").float()
    text = CLIPTextModel.from_pretrained(folder / "text_encoder").float()
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    drawn, pictures = scenes_and_pictures(n, seed)
    print(f"autoencoder: {psnr(vae, to_tensor(pictures)):.2f} dB over {n} new scenes")
    clean = encode_all(vae, pictures) * vae.config.scaling_factor
    noise, steps = torch.randn_like(clean), torch.randint(0, 1000, (n,))
    alpha = build_scheduler().alphas_cumprod[steps][:, None, None, None]
    noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
    rng = np.random.default_rng(seed)
    right = [scenes.captions(scene, rng, 5) for scene in drawn]
    with torch.no_grad():
        for name, texts in (("own captions", right), ("no caption", [[""]] * n)):
            predicted = unet(noisy, steps, embed(text, tokenizer, texts)).sample
            print(f"noise prediction, {name}: mean square error {F.mse_loss(predicted, noise):.4f}")
