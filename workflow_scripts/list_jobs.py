"""List every job of the workflow from Snakemake's own graph, for the leak proof.

Asks Snakemake for a dry run of everything, finished or not, and reads the jobs that it names.
Output: JSON, `[{"rule", "wildcards", "inputs", "outputs"}, ...]`, sorted.
"""

import json
import subprocess
import sys
from pathlib import Path

from afterimage.errors import InputError
from afterimage.provenance import jobs_of_dry_run
from afterimage.stores import write_json


def main(
    out: str, snakefile: str, config: dict, targets: list[str], python: str = sys.executable
) -> None:
    """Write the list.

    Parameters
    ----------
    config : the whole config of this run
    targets : files whose ancestors are listed
    python : the interpreter that has Snakemake, as a rule's own environment has not
    """
    settings = Path(f"{out}.config.json")
    settings.write_text(json.dumps(config))
    command = [python, "-m", "snakemake", "--snakefile", snakefile, "--cores", "1"]
    command += ["--profile", "none", "--workflow-profile", "none", "--nolock"]
    # Jobs that run beside this one have outputs that Snakemake holds for incomplete.
    command += ["--rerun-incomplete", "--dry-run", "--forceall"]
    command += ["--configfile", str(settings), "--", *targets]
    done = subprocess.run(command, capture_output=True, text=True)
    settings.unlink()
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        last = said[-1] if said else "no message"
        raise InputError(snakefile, "a dry run of all jobs", last)
    write_json(out, jobs_of_dry_run(done.stdout + done.stderr))


if "snakemake" in globals():
    from afterimage.jobs import job_log

    with job_log(snakemake.log[0], snakemake.threads):
        main(
            snakemake.output[0],
            snakemake.params.snakefile,
            snakemake.params.config,
            snakemake.params.targets,
            snakemake.params.python,
        )
