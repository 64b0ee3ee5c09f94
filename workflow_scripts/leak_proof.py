"""Prove from the workflow's own graph that nothing of the test set leaked, or name the path.

Reads the list of all jobs as JSON, `[{"rule", "wildcards", "inputs", "outputs"}, ...]`; writes
`leak_proof.json` and prints a line per method.
"""

from afterimage.errors import InputError
from afterimage.provenance.leaks import Job, leak_proof, lines
from afterimage.stores import read_json, write_json


def main(jobs: str, out: str) -> None:
    """Write the proof, or fail naming the first path by which test material leaked.

    Parameters
    ----------
    jobs : JSON list of all jobs of the workflow, finished ones included
    out : JSON file to write, whether the proof holds or not

    Raises
    ------
    InputError
        if the proof does not hold, or the list has no job that trains
    """
    proof = leak_proof([Job(**job) for job in read_json(jobs)])
    write_json(out, proof)
    said = lines(proof)
    for line in said:
        print(line)
    if not proof["holds"]:
        first = next(line for line in said if line.startswith("leak into"))
        raise InputError("leak_proof", "no way from the test set", first, f"All are in {out}.")
    if not proof["training"]["training_jobs"]:
        raise InputError(jobs, "every job of the workflow", "no job that trains")


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        main(snakemake.input.jobs, snakemake.output[0])
