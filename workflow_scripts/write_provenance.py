"""Record what the tables were made from.

Output: JSON with the versions of everything installed, the commit, the whole config, the code
fingerprint of every rule, the generator's files and revision, the weights that score, the raw
files, and the checksums of the tables and of what their rows were computed from. `rows` says which
file a row of a table comes from; `results/jobs.json` says which rule made it, and from what.
"""

import json
import platform
import sys
from pathlib import Path
from typing import Any

from afterimage.datasets import open_dataset
from afterimage.datasets.stamps import content_stamp
from afterimage.diffusion.files import find_model
from afterimage.needs import is_read, needs_of
from afterimage.provenance.record import checksums, commit, stamp, versions
from afterimage.stores import read_json, write_json

ROWS = {
    "latent_mse.csv": "{dataset}/{subject}/scores/latents-{target}-{decoder}.{split}.parquet",
    "image_metrics.csv": "{dataset}/{subject}/scores/images-{method}.parquet",
    # A control of no pictures: the categories of the images that any method was scored on.
    "image_metrics.csv category_only": "{dataset}/{subject}/scores/images-*.parquet",
}


def main(
    out: str,
    config: dict,
    code: dict,
    model: str | None,
    weights: list[str],
    made: list[str],
    root: str,
    given: list[str] | tuple = (),
    shards: list[str] | tuple = (),
) -> None:
    """Write the record.

    Parameters
    ----------
    config : the whole config of this run
    code : rule -> fingerprint of its code, or kind of decoder -> fingerprint
    model : the generator's folder or hub id, if the run uses one
    weights : files of the networks that score
    made : the tables, and files and folders that their rows were computed from
    root : the repository
    given : files of the user's own beside the raw ones: categories, protocols
    shards : folders of pictures, whose sidecars say which libraries made them
    """
    record = {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "versions": versions(),
        "repository": commit(root),
        "config": config,
        "seed": config["seed"],
        "code": code,
        "generator": describe_model(model, config["diffusion"]["revision"]) if model else None,
        "scoring_weights": checksums(weights),
        "raw": {name: raw_files(config, name) for name in config["run"]["datasets"]},
        "given": checksums(given),
        "made": checksums(made),
        "made_with": versions_of([*made, *shards]),
        "rows": {table: f"results/{path}" for table, path in ROWS.items()},
    }
    write_json(out, record)


def describe_model(model: str, revision: str | None) -> dict[str, Any]:
    """The generator's name, its hub's commit, and its files' checksums."""
    files = find_model(model, revision)
    folders = {files.folder / Path(name).parent for name in files.configs}
    sha256 = {
        str(Path(path).relative_to(files.folder)): digest
        for path, digest in checksums(sorted(folders)).items()
    }
    return {"model": files.model, "revision": files.revision, "sha256": sha256}


def raw_files(config: dict, name: str) -> dict[str, dict]:
    """Every raw file that the run reads of a dataset -> its stamp."""
    settings = config["datasets"][name]
    dataset = open_dataset(settings, config["seed"])
    needs = needs_of(config)
    paths = {
        path
        for subject in settings["subjects"]
        for kind, files in dataset.raw_files(subject).items()
        if is_read(kind, needs)
        for path in files
    }
    return {str(path): _described(path) for path in sorted(paths) if path.exists()}


def _described(path: Path) -> dict:
    """A large file has no checksum: what it is compared by when jobs might run again, instead."""
    found = stamp(path)
    if path.is_file() and "sha256" not in found:
        found["content_stamp"] = content_stamp(path)
    return found


def versions_of(made: list[str]) -> list[dict[str, Any]]:
    """The libraries that decoders and pictures were made with: an upgrade makes nothing again."""
    groups: dict[str, dict[str, Any]] = {}
    for path in map(Path, made):
        file = path / "sidecar.json" if path.is_dir() else path
        if file.name in ("model.json", "sidecar.json") and file.is_file():
            found = read_json(file).get("versions")
            key = json.dumps(found, sort_keys=True)
            groups.setdefault(key, {"versions": found, "files": []})["files"].append(str(file))
    return list(groups.values())


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        main(
            snakemake.output[0],
            snakemake.params.config,
            snakemake.params.code_of_rules,
            snakemake.params.model,
            snakemake.input.weights,
            [*snakemake.input.tables, *snakemake.input.made],
            snakemake.params.root,
            list(snakemake.input.given),
            list(snakemake.input.shards),
        )
