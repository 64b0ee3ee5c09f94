"""The tests' own reading of Snakemake's log, and of what was finished when a run was killed."""

import random

from tests import snakemake_log as log
from tests.workflow.killing import IN_STEPS, Kept, rules_to_hit, stages

TEXT = """\
job                   count
------------------  -------
check_data                1
train_decoder             2
total                     3

[Fri Nov 27 06:55:44 2026]
localcheckpoint check_data:
    input: results/demo/raw
    output: results/data_check.txt (update)
    jobid: 8
    resources: tmpdir=/tmp, runtime=20, mem_mb=2000
DAG of jobs will be updated after completion.
[Fri Nov 27 06:55:45 2026]
rule train_decoder:
    output: results/a/model.json, results/a/history.csv
    jobid: 3
    reason: Missing output files: results/a/model.json
    resources: tmpdir=/tmp, gpu=1, runtime=240
[Fri Nov 27 06:55:46 2026]
Finished jobid: 8 (Rule: check_data)
1 of 3 steps (33%) done
[Fri Nov 27 06:55:47 2026]
localrule train_decoder:
    output: results/b/model.json
    jobid: 4
    resources: tmpdir=/tmp, gpu=1
"""


def test_jobs_that_began_and_finished():
    check, first, second = log.begun(TEXT)
    assert check == log.Job("check_data", "8", ("results/data_check.txt",), 0)
    assert first.outputs == ("results/a/model.json", "results/a/history.csv")
    assert (first.gpus, second.gpus) == (1, 1)
    assert log.finished(TEXT) == [check]
    assert log.running(TEXT) == [first, second]
    assert log.at_once(TEXT) == [[check], [check, first], [first, second]]
    assert log.unfinished(TEXT, "train_decoder") == 2
    assert log.unfinished(TEXT, "check_data") == 0


def test_an_output_that_is_written_again_is_noticed_though_its_bytes_are_the_same(tmp_path):
    (tmp_path / "results").mkdir()
    file = tmp_path / "results/data_check.txt"
    file.write_text("all well")
    kept = Kept(tmp_path)
    kept.add(TEXT)
    assert kept.made_again() == []
    file.rename(tmp_path / "before")
    file.write_text("all well")
    assert kept.made_again() == ["results/data_check.txt"]
    file.unlink()
    assert kept.made_again() == ["results/data_check.txt"]


def test_kills_are_planned_for_every_stage():
    rules = sorted(stages())
    for kills in (1, 5, 9, 20, len(rules), 100):
        planned = rules_to_hit(rules, kills, random.Random(0))
        assert len(planned) == len(set(planned)) == min(kills, len(rules))
        n_stages = len({stages()[rule] for rule in planned})
        assert n_stages == min(kills, len(set(stages().values())))
    assert set(rules_to_hit(rules, 5, random.Random(1))) >= set(IN_STEPS)
