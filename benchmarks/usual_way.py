"""The usual way to make these pictures: diffusers' pipeline, one image and one sample at a time."""

import tempfile
from pathlib import Path
from typing import Any


def make_pipeline(generator: Any) -> Any:
    """diffusers' own image-to-image pipeline around the same networks."""
    from diffusers import StableDiffusionImg2ImgPipeline

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
    return pipeline


def theirs(painter: Any, pipeline: Any, n_pictures: int) -> None:
    """One image and one sample at a time, through the pipeline, to files."""
    import torch
    from PIL import Image

    from afterimage.diffusion.noise import noise_source

    generator, requests = painter.generator, painter.requests
    options = {"device": generator.device, "dtype": generator.dtype}
    native = generator.files.native_size
    with tempfile.TemporaryDirectory() as folder:
        for index, (row, sample) in enumerate(painter.members[:n_pictures]):
            with torch.no_grad():
                latent = torch.from_numpy(requests.z[row : row + 1]).to(**options)
                latent = latent / generator.vae.config.scaling_factor
                small = generator.vae.decode(latent).sample
            image = pipeline.image_processor.postprocess(small, output_type="pil")[0]
            picture = pipeline(
                image=image.resize((native, native), Image.Resampling.BICUBIC),
                prompt_embeds=torch.from_numpy(requests.c[row : row + 1]).to(**options),
                negative_prompt_embeds=torch.from_numpy(painter.empty[None]).to(**options),
                strength=painter.schedule.strength,
                num_inference_steps=painter.schedule.steps,
                guidance_scale=painter.schedule.guidance,
                generator=noise_source(0, str(requests.image_id[row]), sample),
            ).images[0]
            if picture.size != (512, 512):
                picture = picture.resize((512, 512), Image.Resampling.LANCZOS)
            picture.save(Path(folder) / f"{index}.png")


def largest_difference(painter: Any, pipeline: Any) -> float:
    """Largest difference of two pictures' latents between the two ways, over their own size."""
    import torch

    from afterimage.diffusion.noise import noise_source
    from afterimage.diffusion.sampling import denoise

    generator, requests = painter.generator, painter.requests
    start = painter.starting_latents(requests.z[:2])
    context, empty = torch.from_numpy(requests.c[:2]), torch.from_numpy(painter.empty)
    sources = [[noise_source(0, str(index), 0) for index in range(2)] for _ in range(2)]
    found = denoise(generator, start, context, empty, sources[0], painter.schedule)
    context = context.to(generator.device)
    expected = [
        pipeline(
            image=start[index : index + 1],
            prompt_embeds=context[index : index + 1],
            negative_prompt_embeds=empty[None].to(generator.device),
            strength=painter.schedule.strength,
            num_inference_steps=painter.schedule.steps,
            guidance_scale=painter.schedule.guidance,
            generator=sources[1][index],
            output_type="latent",
        ).images
        for index in range(2)
    ]
    whole = torch.cat(expected)
    return float((found - whole).abs().max() / whole.abs().max())
