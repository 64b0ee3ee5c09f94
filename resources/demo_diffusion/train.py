"""Make the demo's small Stable Diffusion, from nothing but drawn scenes.

    python resources/demo_diffusion/train.py vae --minutes 30 --batch 4
    python resources/demo_diffusion/train.py unet --minutes 60 --threads 1 --scenes 16000
    python resources/demo_diffusion/train.py vae_decoder --minutes 15 --batch 4
    python resources/demo_diffusion/train.py measure

Each step saves as it goes and continues where it stopped. The result is a folder in diffusers'
format beside this file, in half precision: AutoencoderKL, CLIPTextModel with a byte-pair tokenizer
that accepts any word, UNet2DConditionModel, DDIMScheduler with Stable Diffusion's noise schedule.
"""

import argparse
import copy
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from afterimage.compat import ensure_torchvision  # noqa: E402
from afterimage.simulation import scenes  # noqa: E402

ensure_torchvision()

SIZE = 128
N_TOKENS = 15
WIDTH = 64


def build_vae():
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        block_out_channels=[16, 32, 64, 64],
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=SIZE,
    )


def build_text_encoder(tokenizer):
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=N_TOKENS,
            hidden_act="quick_gelu",
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_unet():
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=SIZE // 8,
        in_channels=4,
        out_channels=4,
        block_out_channels=[32, 64, 128],
        layers_per_block=1,
        down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        up_block_types=["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=8,
    )


def build_scheduler():
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        num_train_timesteps=1000,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def build_tokenizer():
    """A CLIP tokenizer whose merges make each word of the grammar one token; others are spelt."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    start, end = "<|startoftext|>", "<|endoftext|>"
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>", fuse_unk=False))
    learner.pre_tokenizer = pre_tokenizers.Whitespace()
    learner.train_from_iterator(
        scenes.vocabulary(),
        trainers.BpeTrainer(vocab_size=4000, end_of_word_suffix="</w>", show_progress=False),
    )
    merges = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    words = [*letters, *(letter + "</w>" for letter in letters)]
    words += [first + second for first, second in merges]
    words = [*dict.fromkeys(words), start, end]
    return CLIPTokenizer(
        vocab={word: index for index, word in enumerate(words)},
        merges=merges,
        unk_token=end,
        bos_token=start,
        eos_token=end,
        pad_token=end,
        model_max_length=N_TOKENS,
    )


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


class Average:
    """Exponential moving average of a module's weights."""

    def __init__(self, module: torch.nn.Module, decay: float) -> None:
        self.module, self.decay = copy.deepcopy(module).eval().requires_grad_(False), decay

    @torch.no_grad()
    def update(self, module: torch.nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for mine, theirs in zip(self.module.parameters(), module.parameters(), strict=True):
            mine.lerp_(theirs, 1 - decay)


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


def encode_all(vae, pictures: np.ndarray) -> torch.Tensor:
    parts = []
    with torch.no_grad():
        for first in range(0, len(pictures), 64):
            batch = to_tensor(pictures[first : first + 64])
            parts.append(vae.encode(batch).latent_dist.mean)
    return torch.cat(parts)


def load_vae(state: Path):
    vae = build_vae()
    vae.load_state_dict(torch.load(state / "vae.pt", weights_only=True))
    return vae.eval().requires_grad_(False)


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


def export(state: Path, folder: Path) -> None:
    """Write the folder that diffusers reads, in half precision."""
    tokenizer = build_tokenizer()
    saved = torch.load(state / "unet.pt", weights_only=True)["average"]
    model = torch.nn.ModuleDict({"unet": build_unet(), "text": build_text_encoder(tokenizer)})
    model.load_state_dict(saved)
    vae = load_vae(state)
    vae.register_to_config(scaling_factor=json.loads((state / "scale.json").read_text()))
    vae.half().save_pretrained(folder / "vae")
    model["unet"].half().save_pretrained(folder / "unet")
    model["text"].half().save_pretrained(folder / "text_encoder")
    tokenizer.save_pretrained(folder / "tokenizer")
    build_scheduler().save_pretrained(folder / "scheduler")
    parts = {
        "_class_name": "StableDiffusionPipeline",
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "safety_checker": [None, None],
        "requires_safety_checker": False,
    }
    (folder / "model_index.json").write_text(json.dumps(parts, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=["vae", "unet", "vae_decoder", "export", "measure"])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--scenes", type=int, default=30000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--state", type=Path, default=HERE / "state")
    args = parser.parse_args()
    args.state.mkdir(exist_ok=True)
    torch.set_num_threads(args.threads)
    if args.step == "vae":
        train_vae(args.state, args.minutes, args.seed, args.batch)
    elif args.step == "vae_decoder":
        train_vae_decoder(args.state, args.minutes, args.seed, args.batch)
    elif args.step == "unet":
        train_unet(args.state, args.minutes, args.seed, args.batch, args.scenes)
    elif args.step == "measure":
        measure(HERE)
    else:
        export(args.state, HERE)


if __name__ == "__main__":
    main()
