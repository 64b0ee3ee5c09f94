"""Look at the generator that a config names, and fetch a hub's model, before anything heavy begins.

Output: JSON with the model, its revision, its files with their sizes in bytes, and the sizes that
latents and embeddings will have. No job waits for a later one to find a fault of the model.
"""

from typing import Any


def main(out: str, cfg: dict[str, Any]) -> None:
    """Check the model's parts and the settings that they must allow.

    Parameters
    ----------
    out : JSON file to write, if nothing stops the work
    cfg : model, revision, image_size, n_tokens, steps, strength

    Raises
    ------
    InputError
        if the model cannot be had, lacks a file, has a broken one, or does not allow a setting
    """
    from afterimage.diffusion.files import find_model
    from afterimage.diffusion.sampling import Schedule
    from afterimage.diffusion.selection import check_image_size
    from afterimage.stores import write_json

    schedule = Schedule(cfg["steps"], cfg["strength"])
    n_run = schedule.n_run
    files = find_model(cfg["model"], cfg["revision"], n_tokens=cfg["n_tokens"])
    side = check_image_size(cfg["image_size"], files)
    schedule.check(files)
    sizes = {name: size for name, size, _ in files.identity()}
    write_json(
        out,
        {
            "model": files.model,
            "revision": files.revision,
            "native_size": files.native_size,
            "z": [files.latent_channels, side, side],
            "c": [cfg["n_tokens"], files.text_width],
            "steps_run": n_run,
            "bytes": sizes,
        },
    )
    print(
        f"{files.model}: {len(sizes)} files, {sum(sizes.values()) / 1e9:.2f} GB, in {files.folder}"
    )


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        main(snakemake.output[0], snakemake.params.cfg)
