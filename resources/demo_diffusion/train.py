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
import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from autoencoder import train_vae, train_vae_decoder  # noqa: E402
from denoiser import train_unet  # noqa: E402
from measuring import measure  # noqa: E402
from parts import export  # noqa: E402


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
