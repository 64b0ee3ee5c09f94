"""Simulate a study and write it in the raw layout of the Natural Scenes Dataset.

Outputs: the folder of raw files, and the truth of each subject.
"""

from collections.abc import Sequence
from pathlib import Path


def main(raw: str, truth: Sequence[str], cfg: dict) -> None:
    """Write the raw files and, for each of `cfg["subjects"]`, its file of `truth`.

    `cfg` holds the dataset's `simulate` settings, `subjects` and `seed`.
    """
    from afterimage.simulation.nsd_files import write_nsd
    from afterimage.simulation.truth import truth_by_subject

    write_nsd(Path(raw), truth_by_subject(truth, cfg["subjects"]), cfg)


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        subjects = snakemake.params.cfg["subjects"]
        truth = [f"{snakemake.output.truth}/{subject}.npz" for subject in subjects]
        main(snakemake.output.raw, truth, snakemake.params.cfg)
