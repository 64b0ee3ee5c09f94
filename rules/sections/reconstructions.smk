"""What sampling may see of the config, and where a method's latents and pictures come from."""

import json
from hashlib import sha256


def method_sources(wildcards):
    """Target -> decoder -> the array file that a method takes its latents from."""
    folder = f"results/{wildcards.dataset}/{wildcards.subject}"
    method, seed = methods.split_seed(wildcards.method)
    if method in ("mean", "oracle"):
        split = "train" if method == "mean" else "test"
        return {
            target: {split: f"{folder}/latents/{target}/{split}.zarr"}
            for target in TARGET_ARRAYS
        }
    names = {
        target: candidates_of(target) if method in methods.FROM_BEST else ["linear"]
        for target in TARGET_ARRAYS
    }
    return {
        target: {
            name: f"{folder}/predictions/{target}-{methods.of_seed(name, seed)}.test.zarr"
            for name in names[target]
        }
        for target in TARGET_ARRAYS
    }


def method_source_files(wildcards):
    sources = method_sources(wildcards)
    return [path for target in sources for path in sources[target].values()]


def method_selection(wildcards):
    """The choice among decoders of the first seed, which every seed follows."""
    if methods.split_seed(wildcards.method)[0] not in methods.FROM_BEST:
        return []
    return f"results/{wildcards.dataset}/{wildcards.subject}/selected.json"


def sampling_settings(wildcards):
    diffusion = config["diffusion"]
    return ordered(
        {
            **config["reconstruction"],
            "model": diffusion_model(),
            "revision": diffusion["revision"],
            "n_tokens": diffusion["n_tokens"],
            "image_size": diffusion["image_size"],
            "seed": config["seed"],
            "variant": methods.variant(methods.split_seed(wildcards.method)[0]),
        }
    )


def minutes_of_shard(wildcards, input, attempt):
    """Resources function: an hour to load the model, and a minute for 20 of a shard's pictures.

    That is a fifteenth of the pace that docs/scaling.md counts with. Images are counted, as latents
    that are all the same (`mean`) take no room on disk.
    """
    described = json.loads(inside(input.z, "z/zarr.json"))
    images = described["shape"][0] / int(wildcards.n_shards)
    pictures = images * config["reconstruction"]["n_samples"]
    return round((60 + pictures / 20) * 2 ** (attempt - 1))


def external_folder(wildcards):
    """Where another system's pictures of a subject are; a missing folder ends the run at once."""
    folder = Path(EXTERNAL[wildcards.method][wildcards.dataset][wildcards.subject])
    if not folder.is_dir():
        where = f"external.{wildcards.method}.{wildcards.dataset}.{wildcards.subject}"
        problem = InputError(where, "a folder of PNGs", f"no folder {folder}")
        raise WorkflowError(str(problem))
    return str(folder)


def external_stamp(wildcards):
    """Names, sizes and times of another system's pictures: changed ones are listed anew."""
    files = sorted(Path(external_folder(wildcards)).glob("*.png"))
    facts = [
        (file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files
    ]
    return sha256(repr(facts).encode()).hexdigest()[:16]
