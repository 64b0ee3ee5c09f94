"""What scores and tables may see of the config, and the files they read."""

from hashlib import sha256

from afterimage.metrics.protocols import load_protocols, protocol_file
from afterimage.splits import name_of_scheme


def image_score_settings(wildcards):
    return ordered(
        {
            "dataset": dataset_slice(wildcards.dataset, *STIMULI),
            "protocols": config["scoring"]["protocols"],
            "protocol_files": [
                sha256(protocol_file(name).read_bytes()).hexdigest()
                for name in config["scoring"]["protocols"]
            ],
            "seed": config["seed"],
        }
    )


def own_protocols():
    """Files of protocols that do not come with the package."""
    return [path for path in config["scoring"]["protocols"] if path.endswith(".yaml")]


def category_files():
    return [
        source["path"]
        for name in DATASETS
        for source in categories_of(name)
        if source["source"] == "file"
    ]


def shards_for(wildcards):
    folder = f"results/{wildcards.dataset}/{wildcards.subject}/reconstructions/{wildcards.method}"
    shards = shards_of(wildcards.dataset, wildcards.method)
    return [f"{folder}/{shard}" for shard in shards]


def minutes_of_scores(wildcards, input, attempt):
    """Resources function: an hour, and a minute for 75 pictures; manifests have a line for each."""
    pictures = sum(
        inside(shard, "manifest.csv").count(b"\n") for shard in input.reconstructions
    )
    return round((60 + pictures / 75) * 2 ** (attempt - 1))


def latent_score_files(of=TRAINED_DECODERS):
    return [
        f"results/{dataset}/{subject}/scores/latents-{target}-{decoder}.{split}.parquet"
        for dataset, subject in subjects()
        for target, decoder in of
        for split in SPLITS
    ]


def image_score_files(of=scored_methods_of):
    return [
        f"results/{dataset}/{subject}/scores/images-{method}.parquet"
        for dataset, subject in subjects()
        for method in of(dataset, subject)
    ]


def optimal_settings(wildcards):
    diffusion = config["diffusion"]
    return ordered(
        {
            "dataset": dataset_slice(wildcards.dataset, *STIMULI),
            "model": diffusion_model(),
            "n_scenes": config["scoring"]["n_scenes"],
            **{
                name: diffusion[name] for name in ("image_size", "n_tokens", "revision")
            },
        }
    )


def optimal_predictions(wildcards):
    """Where a brain is simulated, the best that can be done is known, target by target."""
    if wildcards.split != "test" or "simulate" not in settings_of(wildcards.dataset):
        return []
    folder = f"results/{wildcards.dataset}/{wildcards.subject}/optimal"
    return [f"{folder}/{target}.test.zarr" for target in TARGET_ARRAYS]


def predicted_halves(wildcards):
    """Predictions from both halves of the test images' repeats, decoder by decoder."""
    if wildcards.split != "test":
        return []
    folder = f"results/{wildcards.dataset}/{wildcards.subject}/predictions"
    return [
        f"{folder}/{target}-{decoder}-{half}.test.zarr"
        for target, decoder in TRAINED_DECODERS
        for half in ("first", "second")
    ]


def weights_settings(wildcards):
    return ordered({"network": wildcards.network, **config["scoring"]["weights"]})


def network_weights():
    """Weights of the chosen networks that the chosen protocols need."""
    protocols = load_protocols(config["scoring"]["protocols"])
    chosen = set(config["scoring"]["networks"])
    names = {metric.network for protocol in protocols for metric in protocol.metrics}
    return [f"resources/weights/{name}.safetensors" for name in sorted(names & chosen)]


def novelty_weights():
    """AlexNet's, where distances are measured in its features too."""
    if not config["scoring"]["novelty_features"]:
        return []
    return "resources/weights/alexnet.safetensors"


def novelty_pictures(wildcards):
    return raw_of(wildcards) if novelty_weights() else []


def novelty_settings(wildcards):
    if not novelty_weights():
        return {"features": False}
    dataset = dataset_slice(wildcards.dataset, *STIMULI)
    return ordered({"features": True, "dataset": dataset, "seed": config["seed"]})


def categories_of(dataset):
    """Where the categories of a dataset's images come from, as a list of none or one."""
    if "categories" in settings_of(dataset):
        return [{"source": "file", "path": settings_of(dataset)["categories"]}]
    return [{"source": "concept"}] * (settings_of(dataset)["format"] == "things")


def bootstrap_settings():
    return {"n_bootstrap": config["scoring"]["n_bootstrap"], "seed": config["seed"]}


def table_settings():
    categories = {name: source for name in DATASETS for source in categories_of(name)}
    return ordered(
        {
            "categories": categories,
            "external": [name for name in METHODS if name in EXTERNAL],
            **bootstrap_settings(),
            "schemes": {
                name: name_of_scheme(settings_of(name)["split"]) for name in DATASETS
            },
        }
    )
