"""Jobs are read from Snakemake's own dry run, whatever ran before."""

import subprocess
import sys

import pytest

from afterimage.errors import InputError
from afterimage.provenance import jobs_of_dry_run

SNAKEFILE = """
rule all:
    input: "b/one.txt", "b/two.txt"

rule a:
    output: directory("a"), update("a.txt")
    shell: "mkdir a && touch a.txt"

rule b:
    input: "a", text="a.txt"
    output: "b/{name}.txt"
    shell: "touch {output}"
"""


@pytest.mark.parametrize("finished", [False, True])
def test_jobs_of_a_real_dry_run(tmp_path, finished):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    if finished:
        (tmp_path / "a").mkdir()
        (tmp_path / "a.txt").write_text("")
    command = [sys.executable, "-m", "snakemake", "-n", "--forceall", "--cores", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    both = ["a", "a.txt"]
    assert jobs_of_dry_run(done.stdout + done.stderr) == [
        {"rule": "a", "wildcards": {}, "inputs": [], "outputs": both},
        {"rule": "all", "wildcards": {}, "inputs": ["b/one.txt", "b/two.txt"], "outputs": []},
        {"rule": "b", "wildcards": {"name": "one"}, "inputs": both, "outputs": ["b/one.txt"]},
        {"rule": "b", "wildcards": {"name": "two"}, "inputs": both, "outputs": ["b/two.txt"]},
    ]


def test_text_that_lost_jobs_is_an_error():
    text = "Job stats:\njob  count\ntotal   2\n\nrule a:\n    output: x\n"
    with pytest.raises(InputError, match="expected 2 jobs, found 1"):
        jobs_of_dry_run(text)
    with pytest.raises(InputError, match="expected a number of jobs, found 0"):
        jobs_of_dry_run("Nothing to be done.")
