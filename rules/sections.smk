"""The section of the config that every stage may see, and the files that it reads."""

import tokenize
from hashlib import sha256

from afterimage import decoders, methods
from afterimage.configuration import responses_of
from afterimage.metrics.protocols import load_protocols
from afterimage.splits import name_of_scheme

# simulate.smk


def simulated(layout):
    names = [
        name
        for name in DATASETS
        if "simulate" in settings_of(name) and settings_of(name)["format"] == layout
    ]
    return "|".join(names) or "none"


def simulation_settings(wildcards):
    return ordered(
        {
            **settings_of(wildcards.dataset)["simulate"],
            "subjects": settings_of(wildcards.dataset)["subjects"],
            "seed": config["seed"],
        }
    )


# responses.smk


def index_settings(wildcards):
    dataset = dataset_slice(wildcards.dataset, *READING, "split", "simulate")
    return ordered({"dataset": dataset, "seed": config["seed"]})


def reading_settings(wildcards):
    return ordered(
        {
            "dataset": dataset_slice(wildcards.dataset, *READING, "areas", "simulate"),
            "seed": config["seed"],
        }
    )


def response_settings(wildcards):
    train_samples = settings_of(wildcards.dataset)["train_samples"]
    responses = responses_of(config, wildcards.dataset)
    return ordered({**responses, "train_samples": train_samples})


def split_betas(split):
    """The stores of one split's trials, or of the job's own split."""

    def paths(wildcards):
        folder = f"results/{wildcards.dataset}/{wildcards.subject}/betas"
        own = split or wildcards.split
        return [f"{folder}/{own}/{part}.zarr" for part in parts_of(wildcards)]

    return paths


def training_responses(wildcards):
    """Validation and test are normalised by the training trials' statistics."""
    if wildcards.split == "train":
        return []
    folder = f"results/{wildcards.dataset}/{wildcards.subject}/responses"
    return [f"{folder}/{area}/train.zarr" for area in ("lower", "higher")]


# graphs.smk


def graph_settings(wildcards):
    return ordered(settings_of(wildcards.dataset)["graph"])


def graph_responses(wildcards):
    area = settings_of(wildcards.dataset)["inputs"]["image"]
    return (
        f"results/{wildcards.dataset}/{wildcards.subject}/responses/{area}/train.zarr"
    )


# latents.smk


STIMULI = ("format", "root", "text", "simulate")


def encoding_settings(*names):
    def settings(wildcards):
        diffusion = config["diffusion"]
        return ordered(
            {
                "dataset": dataset_slice(wildcards.dataset, *STIMULI),
                "seed": config["seed"],
                "model": diffusion_model(),
                **{name: diffusion[name] for name in names},
            }
        )

    return settings


# decoders.smk


def training_settings(wildcards):
    settings = {key: value for key, value in decoder_settings(wildcards).items()}
    return ordered({"seed": config["seed"], **settings})


def input_responses(target, split):
    """The responses of the area that a target is decoded from."""

    def path(wildcards):
        area = settings_of(wildcards.dataset)["inputs"][target]
        folder = f"results/{wildcards.dataset}/{wildcards.subject}/responses"
        return f"{folder}/{area}/{split}.zarr"

    return path


def input_area(wildcards):
    return settings_of(wildcards.dataset)["inputs"][wildcards.target]


def responses_for(split):
    """The same, for the job's own target."""
    return lambda wildcards: input_responses(wildcards.target, split)(wildcards)


def graph_for(wildcards):
    """The graph, for the kinds of decoder that use one."""
    if not decoders.needs_graph(decoder_settings(wildcards)["kind"]):
        return []
    return f"results/{wildcards.dataset}/{wildcards.subject}/graph.zarr"


def candidate_models(wildcards):
    folder = f"results/{wildcards.dataset}/{wildcards.subject}/decoders"
    return {
        target: {
            name: f"{folder}/{target}-{name}/model.json"
            for name in candidates_of(target)
        }
        for target in TARGET_ARRAYS
    }


def candidate_model_files(wildcards):
    models = candidate_models(wildcards)
    return [path for target in models for path in models[target].values()]


# reconstructions.smk


def method_sources(wildcards):
    """Target -> decoder -> the array file that a method takes its latents from."""
    folder = f"results/{wildcards.dataset}/{wildcards.subject}"
    if wildcards.method in ("mean", "oracle"):
        split = "train" if wildcards.method == "mean" else "test"
        return {
            target: {split: f"{folder}/latents/{target}/{split}.zarr"}
            for target in TARGET_ARRAYS
        }
    return {
        target: {
            name: f"{folder}/predictions/{target}-{name}.test.zarr"
            for name in (
                candidates_of(target)
                if wildcards.method in methods.FROM_BEST
                else ["linear"]
            )
        }
        for target in TARGET_ARRAYS
    }


def method_source_files(wildcards):
    sources = method_sources(wildcards)
    return [path for target in sources for path in sources[target].values()]


def method_selection(wildcards):
    if wildcards.method not in methods.FROM_BEST:
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
            "variant": methods.variant(wildcards.method),
        }
    )


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


# metrics.smk


def image_score_settings(wildcards):
    return ordered(
        {
            "dataset": dataset_slice(wildcards.dataset, *STIMULI),
            "protocols": config["scoring"]["protocols"],
            "seed": config["seed"],
        }
    )


def shards_for(wildcards):
    folder = f"results/{wildcards.dataset}/{wildcards.subject}/reconstructions/{wildcards.method}"
    shards = shards_of(wildcards.dataset, wildcards.method)
    return [f"{folder}/{shard}" for shard in shards]


def latent_score_files():
    return [
        f"results/{dataset}/{subject}/scores/latents-{target}-{decoder}.{split}.parquet"
        for dataset, subject in subjects()
        for target, decoder in TARGET_DECODERS
        for split in SPLITS
    ]


def image_score_files():
    return [
        f"results/{dataset}/{subject}/scores/images-{method}.parquet"
        for dataset, subject in subjects()
        for method in methods_of(dataset, subject)
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
        for target, decoder in TARGET_DECODERS
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


def table_settings():
    categories = {name: source for name in DATASETS for source in categories_of(name)}
    return ordered(
        {
            "categories": categories,
            "n_bootstrap": config["scoring"]["n_bootstrap"],
            "schemes": {
                name: name_of_scheme(settings_of(name)["split"]) for name in DATASETS
            },
            "seed": config["seed"],
        }
    )


# checks.smk


TABLES = [
    "results/tables/latent_mse.csv",
    "results/tables/image_metrics.csv",
    "results/tables/latent_comparisons.csv",
    "results/tables/comparisons.csv",
]

CHECKED = (
    *READING,
    "subjects",
    "areas",
    "text",
    "simulate",
)


def check_settings():
    return ordered(
        {
            "datasets": {
                name: {
                    **dataset_slice(name, *CHECKED),
                    "max_bad_voxels": responses_of(config, name)["max_bad_voxels"],
                }
                for name in DATASETS
            },
            "seed": config["seed"],
        }
    )


def all_raw_files(wildcards):
    """Params function: what all raw files of users' own look like from outside."""
    real = {
        name: settings_of(name)
        for name in DATASETS
        if "simulate" not in settings_of(name)
    }
    try:
        return stamps.check_stamp(real)
    except InputError as error:
        raise WorkflowError(str(error)) from None


def download_settings():
    datasets = {
        name: dataset_slice(name, *CHECKED, "accept_nsd_terms") for name in DATASETS
    }
    return ordered({"datasets": datasets, **config["download"]})


def whole_config(wildcards, threads):
    """All of it, to hand on. Params that depend on threads are not compared between runs."""
    return ordered(config)


def what_is_computed():
    """The config without `execution`, which changes no job."""
    return ordered({name: config[name] for name in config if name != "execution"})


def digest_of_rules(wildcards):
    """Of the rules' own text, comments aside: what the jobs are is decided there."""
    files = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
    words = [word for path in files for word in words_of(path)]
    return sha256("\0".join(words).encode()).hexdigest()[:16]


def words_of(path):
    """The tokens of a file of rules without comments and line breaks."""
    with tokenize.open(path) as stream:
        return [
            token.string
            for token in tokenize.generate_tokens(stream.readline)
            if token.type not in (tokenize.COMMENT, tokenize.NL)
        ]


def simulated_raw():
    return [
        f"results/demo/{name}/raw"
        for name in DATASETS
        if "simulate" in settings_of(name)
    ]


# report.smk


def report_settings():
    names = {
        name: {
            "subjects": settings_of(name)["subjects"],
            "simulated": "simulate" in settings_of(name),
            "settings": dataset_slice(
                name, *STIMULI, "inputs", "graph", "split", "responses"
            ),
        }
        for name in DATASETS
    }
    stages = (
        "decoders",
        "diffusion",
        "reconstruction",
        "responses",
        "scoring",
        "selection",
    )
    return ordered(
        {
            "title": "afterimage",
            "datasets": names,
            "methods": METHODS,
            "seed": config["seed"],
            **{stage: config[stage] for stage in stages},
        }
    )


def trains():
    """Whether this run decodes anything: it need not, to score other systems' pictures."""
    return bool(TARGET_DECODERS or {"linear", *methods.FROM_BEST} & set(METHODS))


def for_each_subject(*names):
    """Files of the subjects that are decoded."""
    if not trains():
        return []
    return [
        f"results/{dataset}/{subject}/{name}"
        for dataset, subject in subjects()
        for name in names
    ]


def decoder_files(name):
    return [
        f"results/{dataset}/{subject}/decoders/{target}-{decoder}/{name}"
        for dataset, subject in subjects()
        for target, decoder in TARGET_DECODERS
    ]


def selections():
    """Each subject's choice of decoders, where a method follows it."""
    return (
        for_each_subject("selected.json")
        if set(METHODS).intersection(methods.FROM_BEST)
        else []
    )


def generator():
    """The model that this run uses; none where all pictures came from elsewhere."""
    return diffusion_model() if trains() or set(METHODS) - set(EXTERNAL) else None


def code_of_rules(wildcards):
    """Rule -> fingerprint of its code; of decoders' rules, kind of decoder -> fingerprint."""
    found = {
        each.name: code_fingerprint(ROOT / "rules" / each.script, ROOT)
        for each in workflow.rules
        if each.script
    }
    kinds = {
        config["decoders"][target][name]["kind"] for target, name in TARGET_DECODERS
    }
    for name in ("train_decoder", "predict_latents"):
        script = ROOT / "workflow_scripts" / f"{name}.py"
        found[name] = {
            kind: code_fingerprint(script, ROOT, [f"afterimage.decoders.{kind}"])
            for kind in sorted(kinds)
        }
    return found
