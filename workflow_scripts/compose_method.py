"""Gather what one method hands to the generator for every test image.

Inputs: the test predictions of the decoders that the method may use, and for `best` and its
controls the selection; for `mean` the training latents; for `oracle`, alone, the true test latents.
Outputs: z.zarr and c.zarr, a row per test image.
"""


def main(
    sources: dict[str, dict[str, str]],
    test_images: str,
    selected: str | None,
    out: dict[str, str],
    method: str,
    seed: int,
) -> None:
    """Write the method's latents.

    Parameters
    ----------
    sources : target (image, text) -> decoder name -> array file; one entry where nothing is chosen
    test_images : an array file whose image_id are the test images
    selected : selected.json, for the methods that follow the selection
    out : target -> array file to write
    """
    from afterimage import methods, stores

    image_id = sorted(stores.read_arrays(test_images, "image_id")["image_id"])
    choice = stores.read_json(selected) if selected else {}
    for target, name in (("image", "z"), ("text", "c")):
        decoder = choice.get(target) or next(iter(sources[target]))
        latents, found = methods.read_latents(sources[target][decoder], name)
        if method != "mean":
            latents = latents[stores.positions(image_id, found, sources[target][decoder])]
        composed = methods.compose(method, latents, image_id, seed)
        print(f"{target}: {methods.METHODS[method]} ({decoder})")
        arrays = {name: composed, "image_id": image_id}
        stores.write_arrays(out[target], arrays, {"method": method, "source": decoder})


if "snakemake" in globals():
    from afterimage.jobs import job_log
    from afterimage.methods import split_seed

    with job_log(snakemake.log[0], snakemake.threads):
        main(
            snakemake.params.sources,
            snakemake.input.test_images,
            snakemake.input.get("selected"),
            {"image": snakemake.output.z, "text": snakemake.output.c},
            split_seed(snakemake.wildcards.method)[0],
            snakemake.params.cfg["seed"],
        )
