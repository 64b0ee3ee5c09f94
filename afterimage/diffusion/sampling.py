"""Denoising by DDIM with classifier-free guidance, from a noisy latent or from pure noise.

The steps are diffusers' image-to-image steps: of `steps` time steps the last
int(steps x strength) are run, and the noise is that of the first of them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from afterimage.diffusion.files import ModelFiles
from afterimage.diffusion.model import Generator
from afterimage.diffusion.noise import draw
from afterimage.errors import InputError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Schedule:
    """How to denoise: the report's settings by default."""

    steps: int = 50
    strength: float = 0.8
    guidance: float = 5.0
    eta: float = 0.0

    @property
    def n_run(self) -> int:
        """Steps that are run: 40 of 50 at strength 0.8.

        Raises
        ------
        InputError
            if that is none at all
        """
        n_run = min(int(self.steps * self.strength), self.steps)
        if n_run < 1:
            raise InputError(
                "reconstruction.strength",
                "at least one step, steps x strength >= 1",
                f"{self.steps} x {self.strength}",
            )
        return n_run

    def check(self, files: ModelFiles) -> None:
        """Raise an InputError if the model was not trained on so many steps."""
        offset = files.configs["scheduler/scheduler_config.json"].get("steps_offset", 0)
        if self.steps > files.training_steps - offset:
            raise InputError(
                "reconstruction.steps",
                f"at most {files.training_steps - offset}, the steps of the model's noise schedule",
                str(self.steps),
            )


def denoise(
    generator: Generator,
    start: "torch.Tensor | None",
    context: "torch.Tensor | None",
    empty: "torch.Tensor",
    sources: "list[torch.Generator]",
    schedule: Schedule,
) -> "torch.Tensor":
    """Denoise one batch; the two halves of the guidance go through the UNet together.

    Parameters
    ----------
    start : scaled latents (n, channels, h, w) to be noised; None starts from pure noise
    context : embeddings (n, tokens, width) of the texts; None is the empty text, for which the two
        halves would be equal and only one is computed
    empty : embedding (tokens, width) of the empty text
    sources : a random generator per picture: its first draw is the noise of the start, further
        draws (eta > 0) that of each step

    Returns
    -------
    scaled latents (n, channels, h, w), float32 (the UNet's own precision if that is higher)
    """
    import torch

    device, n = generator.device, len(sources)
    working = torch.promote_types(generator.dtype, torch.float32)
    scheduler = generator.new_scheduler()
    scheduler.set_timesteps(schedule.steps)
    times = scheduler.timesteps[schedule.steps - schedule.n_run :]
    times_on_device = times.to(device)
    side = int(generator.unet.config.sample_size)
    shape: tuple[int, ...] = (int(generator.unet.config.in_channels), side, side)
    if start is not None:
        shape = tuple(start.shape[1:])
    noise = draw(sources, shape).to(device, working)
    if start is None:
        latents = noise * scheduler.init_noise_sigma
    else:
        latents = scheduler.add_noise(start.to(device, working), noise, times[:1])
    guided = context is not None and schedule.guidance != 1
    texts = empty.to(device, generator.dtype).expand(n, *empty.shape)
    if context is not None:
        context = context.to(device, generator.dtype)
        texts = torch.cat([texts, context]) if guided else context
    with torch.no_grad():
        for index, time in enumerate(times.tolist()):
            double = torch.cat([latents, latents]) if guided else latents
            double = scheduler.scale_model_input(double, time)
            predicted = generator.predict_noise(double, times_on_device[index], texts).to(working)
            if guided:
                without, conditional = predicted.chunk(2)
                predicted = without + schedule.guidance * (conditional - without)
            fresh = draw(sources, shape).to(device, working) if schedule.eta > 0 else None
            latents = scheduler.step(
                predicted, time, latents, eta=schedule.eta, variance_noise=fresh, return_dict=False
            )[0]
    return latents
