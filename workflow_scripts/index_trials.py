"""List a subject's trials with their split and repeat.

Reads the raw design (a declared mixed source); writes `trials.parquet`, a row per trial in
chronological order.
"""

from afterimage.datasets import open_dataset
from afterimage.splits import assign_splits, count_splits
from afterimage.stores import write_table


def main(out: str, cfg: dict, subject: str, seed: int, dataset: str = "trials") -> None:
    """Write the trial table of one subject.

    Parameters
    ----------
    out : parquet file to write
    cfg : the dataset's settings
    dataset : the dataset's name, for messages
    """
    trials = open_dataset(cfg, seed).trials(subject)
    table = assign_splits(trials, cfg["split"], seed, f"{dataset} {subject}")
    for split, count in count_splits(table).items():
        print(f"{split}: {count['images']} images, {count['trials']} trials")
    write_table(out, table)


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        main(
            snakemake.output[0],
            snakemake.params.cfg["dataset"],
            snakemake.wildcards.subject,
            snakemake.params.cfg["seed"],
            snakemake.wildcards.dataset,
        )
