"""Fetch exactly the files that a config needs from NSD's public bucket.

Only for datasets whose config says that the NSD terms were accepted. Files land below the dataset's
root under the bucket's own paths; an interrupted download goes on where it stopped.
"""

from collections.abc import Set
from pathlib import Path

from afterimage.datasets.download import choose, connect, fetch_all
from afterimage.datasets.nsd_files import needed_objects, require_terms
from afterimage.datasets.nsd_stimuli import FETCH_CAPTIONS
from afterimage.needs import EVERYTHING


def main(
    datasets: dict[str, dict],
    bucket: str,
    endpoint: str | None = None,
    workers: int = 8,
    needs: Set[str] = EVERYTHING,
) -> None:
    """Fetch what the datasets of format nsd need.

    Parameters
    ----------
    datasets : the config's entries by name; simulated ones and other formats are passed over
    bucket : name of NSD's bucket
    endpoint : another S3 server than Amazon's
    workers : files fetched at the same time
    needs : what the run reads beside trials and pictures: betas, captions

    Raises
    ------
    InputError
        if the terms were not accepted, or the bucket or the disk fails
    """
    wanted = {
        name: settings
        for name, settings in datasets.items()
        if settings["format"] == "nsd" and "simulate" not in settings
    }
    if not wanted:
        print("no dataset here needs it: none is of format nsd and not simulated")
    for name, settings in wanted.items():
        require_terms(settings, name)
    client = connect(endpoint)
    for name, settings in wanted.items():
        root = Path(settings["root"]).expanduser()
        wanted_here = needed_objects(settings, needs)
        files = [choose(client, bucket, keys, root) for keys in wanted_here]
        total = sum(file.size for file in files)
        print(f"{name}: {len(files)} files, {total / 1e9:.1f} GB in all, to {root}")
        fetched = fetch_all(client, bucket, files, root, workers)
        print(f"{name}: {len(fetched)} files fetched, {len(files) - len(fetched)} were there")
        if "captions" in needs:
            print(f"{name}: captions are COCO's, not NSD's. {FETCH_CAPTIONS}")


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        main(
            snakemake.params.cfg["datasets"],
            snakemake.params.cfg["bucket"],
            snakemake.params.cfg["endpoint"],
            snakemake.threads,
            frozenset(snakemake.params.cfg["needs"]),
        )
