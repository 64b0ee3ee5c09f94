"""Training of the UNet and the text encoder together."""

import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from averaging import Average
from parts import (
    HERE,
    build_scheduler,
    build_text_encoder,
    build_tokenizer,
    build_unet,
    export,
    load_vae,
)
from pictures import embed, encode_all, scenes_and_pictures, texts_of


def train_unet(state: Path, minutes: float, seed: int, batch: int, n_scenes: int) -> None:
    torch.manual_seed(seed)
    vae = load_vae(state)
    drawn, pictures = scenes_and_pictures(n_scenes, seed)
    latents = encode_all(vae, pictures)
    del pictures
    scale = 1 / float(latents.std())
    (state / "scale.json").write_text(json.dumps(scale))
    latents = latents * scale
    tokenizer = build_tokenizer()
    model = torch.nn.ModuleDict({"unet": build_unet(), "text": build_text_encoder(tokenizer)})
    average = Average(model, 0.9995)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-3)
    step, spent = 0, 0.0
    if (state / "unet.pt").exists():
        saved = torch.load(state / "unet.pt", weights_only=True)
        model.load_state_dict(saved["model"])
        average.module.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        step, spent = saved["step"], saved["seconds"]
    print(f"UNet: {sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters", flush=True)
    alphas = build_scheduler().alphas_cumprod
    rng = np.random.default_rng([seed, step])
    begin, losses = time.time() - spent, []
    while (share := (time.time() - begin) / (60 * minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = 1e-3 * min(1, (step + 1) / 500) * max(0.02, min(1, 1.6 * (1 - share)))
        chosen = rng.integers(len(latents), size=batch)
        clean = latents[chosen]
        noise = torch.randn_like(clean)
        time_step = torch.randint(0, 1000, (batch,))
        alpha = alphas[time_step][:, None, None, None]
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        context = embed(model["text"], tokenizer, [texts_of(drawn[i], rng) for i in chosen])
        predicted = model["unet"](noisy, time_step, context).sample
        per_picture = F.mse_loss(predicted, noise, reduction="none").mean((1, 2, 3))
        ratio = (alpha / (1 - alpha)).flatten()
        loss = (per_picture * ratio.clamp(max=5) / ratio.clamp(max=5).mean()).mean()
        optimiser.zero_grad()
        (per_picture.mean() * 0.5 + loss * 0.5).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        step += 1
        average.update(model, step)
        losses.append(float(per_picture.mean().detach()))
        if step % 500 == 0 or step == 50:
            seconds = time.time() - begin
            line = f"{seconds:6.0f} s  step {step}  loss {np.mean(losses[-500:]):.4f}"
            print(line, flush=True)
            saved = {
                "model": model.state_dict(),
                "average": average.module.state_dict(),
                "optimiser": optimiser.state_dict(),
                "step": step,
                "seconds": seconds,
            }
            torch.save(saved, state / "unet.new")
            (state / "unet.new").rename(state / "unet.pt")
            if step % 2000 == 0:
                export(state, HERE)
    export(state, HERE)
