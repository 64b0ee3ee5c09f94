"""What is looked at before and beside the work."""

import re
import sys
import tokenize
from hashlib import sha256

from afterimage.configuration import responses_of
from afterimage.needs import needs_of

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
            "needs": sorted(needs_of(config)),
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
    needs = sorted(needs_of(config))
    return ordered({"datasets": datasets, "needs": needs, **config["download"]})


def whole_config(wildcards, threads):
    """All of it, to hand on. Params that depend on threads are not compared between runs."""
    return ordered(config)


def what_is_computed():
    """The config without `execution`, which changes no job."""
    return ordered({name: config[name] for name in config if name != "execution"})


def own_python(wildcards, threads):
    """The Python that runs Snakemake: an environment of a rule has none. Not compared either."""
    return sys.executable


def kinds_with_graph():
    """The kinds of decoder in use that take the graph of regions: their files say so."""
    kinds = {
        config["decoders"][target][name]["kind"] for target, name in TARGET_DECODERS
    }
    return [kind for kind in sorted(kinds) if decoders.needs_graph(kind)]


def files_of_rules():
    return [ROOT / "Snakefile", *sorted((ROOT / "rules").rglob("*.smk"))]


def modules_of_rules(wildcards):
    """What the files of rules import of the package: it decides what the jobs are, too."""
    pattern = re.compile(r"^from (afterimage[\w.]*) import (.+)$", re.MULTILINE)
    return sorted(
        f"{package}.{name.split()[0]}"
        for path in files_of_rules()
        for package, names in pattern.findall(path.read_text())
        for name in names.split(",")
    )


def digest_of_rules(wildcards):
    """Of the rules' own text, comments aside: what the jobs are is decided there."""
    words = [word for path in files_of_rules() for word in words_of(path)]
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
