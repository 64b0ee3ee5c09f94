"""What the rules share: the checked config, and the section of it that each stage may see."""

import os
from functools import cache
from pathlib import Path

import yaml

from afterimage import datasets as dataset_readers
from afterimage import methods
from afterimage.configuration import check_configuration, check_keys, check_values
from afterimage.datasets import FORMATS, stamps
from afterimage.errors import InputError
from afterimage.metrics.protocols import known_protocols
from afterimage.provenance import code_fingerprint

ROOT = Path(workflow.basedir)
SPLITS = ["train", "validation", "test"]
TARGET_ARRAYS = {"image": "z", "text": "c"}


SCHEMA = yaml.safe_load((ROOT / "schemas/config.schema.yaml").read_text())

try:
    check_keys(config, SCHEMA)
    check_values(config, SCHEMA)
    check_configuration(config)
except InputError as error:
    raise WorkflowError(str(error)) from None


DATASETS = config["run"]["datasets"]
TARGET_DECODERS = [
    [target, name]
    for target in TARGET_ARRAYS
    for name in config["run"]["decoders"][target]
]
METHODS = config["run"]["methods"]
N_SEEDS = config["run"]["training_seeds"]
EXTERNAL = config["external"]


# After a decoder's or a method's name: trained with this further seed.
FURTHER_SEED = "(?:/seed[1-9][0-9]*)?"
# All that is trained and scored, every seed of it.
TRAINED_DECODERS = [
    [target, name]
    for target, plain in TARGET_DECODERS
    for name in methods.with_seeds(plain, N_SEEDS)
]


wildcard_constraints:
    dataset="|".join(DATASETS),
    subject="[A-Za-z0-9-]+",
    area="lower|higher",
    split="train|validation|test",
    target="image|text",
    decoder=f"[A-Za-z0-9_]+{FURTHER_SEED}",
    method=f"[A-Za-z0-9_]+{FURTHER_SEED}",


def every_split(path):
    """Named outputs, one folder for each split, of a job that makes all of them."""
    return {split: directory(path.replace("{split}", split)) for split in SPLITS}


def ordered(value):
    """The same value with every mapping's keys sorted: equal settings compare equal."""
    if isinstance(value, dict):
        return {key: ordered(value[key]) for key in sorted(value)}
    return [ordered(item) for item in value] if isinstance(value, list) else value


def code_of(script, modules=lambda wildcards: []):
    """Params function: fingerprint of a script and of every module of the package it imports.

    `modules` gives the names of more. Called for the jobs that run, not while parsing: each job
    parses these files again.
    """

    def fingerprint(wildcards):
        path = ROOT / "workflow_scripts" / script
        return code_fingerprint(path, ROOT, modules(wildcards), unused_by(wildcards))

    return fingerprint


def kind_of(wildcards):
    """The file of the job's kind of decoder, which is imported by its name."""
    return [f"afterimage.decoders.{decoder_settings(wildcards)['kind']}"]


def unused_by(wildcards=None):
    """Readers of formats that no job of the run, or of this dataset, uses.

    And protocols: what they say counts for score_images alone, which has it among its params.
    """
    names = [wildcards.dataset] if hasattr(wildcards, "dataset") else DATASETS
    formats = {settings_of(name)["format"] for name in names}
    return [
        *(f"afterimage.datasets.{name}" for name in set(FORMATS) - formats),
        *(f"afterimage/metrics/protocols/{name}.yaml" for name in known_protocols()),
    ]


def gpus(wildcards):
    """A GPU for each job that can use one; none where the CPU was asked for."""
    return 0 if config["execution"]["device"] == "cpu" else 1


def execution(wildcards, threads):
    """How to compute. Params that depend on threads are not compared between runs."""
    return ordered(config["execution"])


def memory(megabytes, per_input=0):
    """Resources function: MB that a job needs, with so many times the size of its input.

    Twice as much on every retry: a cluster kills a job that takes more than it asked for.
    """

    def needed(wildcards, input, attempt):
        size = sum(map(megabytes_in, input)) if per_input else 0
        return int((megabytes + per_input * size) * 2 ** (attempt - 1))

    return needed


def minutes(usual, per_gigabyte=0):
    """Resources function: the minutes that a job may take, with so many for each GB of its input.

    Twice as many on every retry: a cluster ends a job that takes longer, and a retry goes on where
    the one before it stopped.
    """

    def allowed(wildcards, input, attempt):
        size = sum(map(megabytes_in, input)) / 1000 if per_gigabyte else 0
        return round((usual + per_gigabyte * size) * 2 ** (attempt - 1))

    return allowed


def megabytes_in(path):
    """Size of a file or of a folder's files; while it is not there, Snakemake asks again later."""
    inside = [str(file) for file in Path(path).rglob("*")]
    return sum(map(os.path.getsize, inside or [path])) / 1e6


def inside(folder, name):
    """The bytes of a file of a folder; while that is not there, Snakemake asks again later."""
    os.stat(folder)
    return (Path(folder) / name).read_bytes()


def settings_of(dataset):
    return config["datasets"][dataset]


def dataset_slice(dataset, *names):
    """The named settings of a dataset that it has."""
    settings = settings_of(dataset)
    return ordered({name: settings[name] for name in names if name in settings})


READING = (
    "format",
    "root",
    "sessions",
    "n_sessions",
    "betas",
    "space",
    "hemisphere",
)


def raw_of(wildcards):
    """The raw files where a rule makes them; a user's own are looked at by check_data."""
    if "simulate" in settings_of(wildcards.dataset):
        return [f"results/demo/{wildcards.dataset}/raw"]
    return []


def stamp_of(*kinds):
    """Params function: what a user's own raw files look like, so that other files rerun the job.

    `betas` are those of the job's own part. Simulated files are outputs of a rule instead.
    """

    def stamp(wildcards):
        names = [f"betas {wildcards.part}" if k == "betas" else k for k in kinds]
        return _stamp(wildcards.dataset, wildcards.subject, *names)

    return stamp


@cache
def _stamp(dataset, subject, *kinds):
    if "simulate" in settings_of(dataset):
        return ""
    try:
        return stamps.reader_stamp(settings_of(dataset), subject, kinds)
    except InputError as error:
        raise WorkflowError(str(error)) from None


def subjects():
    """All (dataset, subject) pairs of this run."""
    return [
        (name, subject)
        for name in DATASETS
        for subject in settings_of(name)["subjects"]
    ]


def parts_of(wildcards):
    return dataset_readers.parts(settings_of(wildcards.dataset), wildcards.subject)


def decoder_settings(wildcards):
    """A decoder's hyper-parameters, with those that its dataset sets otherwise."""
    name, target = methods.split_seed(wildcards.decoder)[0], wildcards.target
    own = (
        settings_of(wildcards.dataset).get("decoders", {}).get(target, {}).get(name, {})
    )
    return {**config["decoders"][target][name], **own}


def candidates_of(target):
    return config["selection"]["candidates"][target]


def methods_of(dataset, subject):
    """The run's methods; another system's where it made pictures of this subject."""
    return [
        name
        for name in METHODS
        if name not in EXTERNAL or subject in EXTERNAL[name].get(dataset, {})
    ]


def scored_methods_of(dataset, subject):
    """The same, and what decodes once more for each further training seed."""
    return [
        name
        for plain in methods_of(dataset, subject)
        for name in methods.with_seeds(
            plain, N_SEEDS if plain in methods.TRAINED else 1
        )
    ]


def shards_of(dataset, method):
    n_shards = 1 if method in EXTERNAL else settings_of(dataset).get("shards", 1)
    return [f"shard{index + 1}of{n_shards}" for index in range(n_shards)]


def diffusion_model():
    """The model's folder, also when Snakemake runs in another working directory."""
    model = config["diffusion"]["model"]
    shipped = ROOT / model
    return str(shipped) if not Path(model).exists() and shipped.exists() else model


def model_files(*parts):
    """Weights and settings of a model in a local folder, as inputs: others make its latents anew."""
    folder = Path(diffusion_model())
    return sorted(
        str(path)
        for part in parts
        for path in folder.glob(f"{part}/*")
        if path.suffix in (".safetensors", ".json", ".txt")
    )
