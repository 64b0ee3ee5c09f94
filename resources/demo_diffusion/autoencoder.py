"""Training of the autoencoder, and then of its decoder alone."""

import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from averaging import Average
from parts import HERE, SIZE, build_vae, export, load_vae
from pictures import psnr, scenes_and_pictures, to_tensor


def train_vae(state: Path, minutes: float, seed: int, batch: int) -> None:
    torch.manual_seed(seed)
    model = build_vae()
    again = (state / "vae.pt").exists()
    if again:
        model.load_state_dict(torch.load(state / "vae.pt", weights_only=True))
        seed += 2
    average = Average(model, 0.998)
    print(f"VAE: {sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters", flush=True)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-4)
    _, pictures = scenes_and_pictures(8000, seed)
    held_out = to_tensor(scenes_and_pictures(48, seed + 1)[1])
    rng = np.random.default_rng(seed)
    peak = 1.2e-3 if again else 2e-3
    begin, step = time.time(), 0
    while (share := (time.time() - begin) / (60 * minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = peak * min(1, step / 100) * max(0.01, 1 - share)
        batch_pictures = to_tensor(pictures[rng.integers(len(pictures), size=batch)])
        side = SIZE if again or share > 0.3 else 64 if share < 0.15 else 96
        if side < SIZE:
            batch_pictures = F.interpolate(
                batch_pictures, size=(side, side), mode="bilinear", antialias=True
            )
        if rng.random() < 0.5:
            batch_pictures = batch_pictures.flip(-1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            posterior = model.encode(batch_pictures).latent_dist
            back = model.decode(posterior.sample()).sample
        error = back.float() - batch_pictures
        loss = error.abs().mean() + 2 * error.square().mean() + 1e-6 * posterior.kl().mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        step += 1
        average.update(model, step)
        if step % 100 == 0:
            quality = psnr(average.module, held_out)
            seconds = time.time() - begin
            print(f"{seconds:6.0f} s  step {step}  loss {loss:.4f}  {quality:.2f} dB", flush=True)
            torch.save(average.module.state_dict(), state / "vae.pt")
    torch.save(average.module.state_dict(), state / "vae.pt")


def train_vae_decoder(state: Path, minutes: float, seed: int, batch: int) -> None:
    """Go on with the decoder alone: the latents, and what was trained on them, stay as they are."""
    torch.manual_seed(seed)
    model = load_vae(state)
    trained = torch.nn.ModuleDict({"decoder": model.decoder, "post": model.post_quant_conv})
    trained.requires_grad_(True).train()
    average = Average(trained, 0.998)
    optimiser = torch.optim.AdamW(trained.parameters(), lr=1e-3, weight_decay=1e-4)
    _, pictures = scenes_and_pictures(12000, seed + 4)
    held_out = to_tensor(scenes_and_pictures(24, seed + 1)[1])
    rng = np.random.default_rng(seed + 5)
    begin, step = time.time(), 0
    while (share := (time.time() - begin) / (60 * minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = 1e-3 * min(1, step / 100) * max(0.01, 1 - share)
        batch_pictures = to_tensor(pictures[rng.integers(len(pictures), size=batch)])
        if rng.random() < 0.2:
            batch_pictures = F.interpolate(
                batch_pictures, size=(80, 80), mode="bilinear", antialias=True
            )
        with torch.autocast("cpu", dtype=torch.bfloat16):
            with torch.no_grad():
                latent = model.encode(batch_pictures).latent_dist.mean
            back = model.decode(latent).sample
        error = back.float() - batch_pictures
        loss = error.abs().mean() + 4 * error.square().mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        optimiser.step()
        step += 1
        average.update(trained, step)
        if step % 200 == 0:
            seconds = time.time() - begin
            print(f"{seconds:6.0f} s  step {step}  loss {loss:.4f}", flush=True)
    model.decoder.load_state_dict(average.module["decoder"].state_dict())
    model.post_quant_conv.load_state_dict(average.module["post"].state_dict())
    print(f"{psnr(model.eval(), held_out):.2f} dB", flush=True)
    torch.save(model.state_dict(), state / "vae.pt")
    export(state, HERE)
