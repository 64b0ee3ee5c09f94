"""A job's log holds what it said; a person reads one line."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from afterimage.errors import InputError, closest
from afterimage.jobs import (
    choose_device,
    job_log,
    lost_gpu,
    made_ahead,
    pool_of,
    progress,
    require_compiler,
)

ROOT = Path(__file__).parents[2]


def test_output_goes_to_the_log(tmp_path, capsys):
    with job_log(tmp_path / "logs/a.log"):
        print("hello")
    assert (tmp_path / "logs/a.log").read_text() == "hello\n"
    assert capsys.readouterr().out == ""


def test_bad_input_is_one_line_without_a_traceback(tmp_path, capsys):
    error = InputError("x.h5", "750 trials", "749", "Fetch it again.")
    with pytest.raises(SystemExit) as ended, job_log(tmp_path / "a.log"):
        raise error
    assert ended.value.code == 1
    line = "ERROR x.h5: expected 750 trials, found 749. Fetch it again.\n"
    assert (tmp_path / "a.log").read_text() == line
    assert capsys.readouterr().err == line


def test_a_defect_keeps_its_traceback_in_the_log(tmp_path, capsys):
    with pytest.raises(SystemExit), job_log(tmp_path / "a.log"):
        raise ZeroDivisionError("oh")
    assert "Traceback" in (tmp_path / "a.log").read_text()
    assert capsys.readouterr().err.startswith("ERROR ZeroDivisionError: oh (see ")


@pytest.mark.parametrize(
    ("message", "lost"),
    [
        (
            "CUDA error: unspecified launch failure\nCUDA kernel errors might be reported late.",
            True,
        ),
        ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", True),
        ("No CUDA GPUs are available", True),
        ("CUDA error: out of memory", False),
        ("CUDA error: device-side assert triggered", False),
        ("mat1 and mat2 shapes cannot be multiplied", False),
    ],
)
def test_a_gpu_that_is_lost_is_told_from_other_errors(message, lost):
    line = lost_gpu(RuntimeError(message))
    assert bool(line) == lost
    if lost:
        found = message.splitlines()[0]
        assert line.startswith(f"the GPU: expected a device that answers, found {found}. ")
        assert "\n" not in line
    assert lost_gpu(ValueError(message)) == ""


def test_progress_says_where_it_is(capsys):
    assert list(progress(range(3), "reading", every=0)) == [0, 1, 2]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[-1].startswith("reading: 3/3 after")


def test_progress_advances_by_what_an_item_holds(capsys, monkeypatch):
    """Three batches of 30 pictures, 11 s each: after the first, 22 s are left."""
    clock = [0.0]
    monkeypatch.setattr("afterimage.jobs.time.monotonic", lambda: clock[0])

    def batches():
        for _ in range(3):
            clock[0] += 11
            yield 30

    assert list(progress(batches(), "pictures", total=90, size=int)) == [30, 30, 30]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "pictures: 30/90 after 11 s, 22 s left"
    assert lines[2] == "pictures: 90/90 after 33 s, 0 s left"


def test_a_job_shows_a_bar_on_the_terminal_and_lines_in_its_log(tmp_path):
    import pty
    import termios

    code = (
        "import time\n"
        "from afterimage.jobs import job_log, progress\n"
        f"with job_log({str(tmp_path / 'train_decoder/subj01-cnn.log')!r}):\n"
        "    for _ in progress(range(3), 'epoch', every=0.1):\n        time.sleep(1.2)\n"
    )
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, stderr=theirs, timeout=60)
    os.write(theirs, b"end")
    read = b""
    while not read.endswith(b"end"):
        read += os.read(ours, 100_000)
    shown = read.decode()
    assert "train_decoder subj01-cnn, epoch:  67%" in shown
    assert shown.endswith("\rend")
    lines = (tmp_path / "train_decoder/subj01-cnn.log").read_text().splitlines()
    assert [line.split(" after ")[0] for line in lines] == [
        "epoch: 1/3",
        "epoch: 2/3",
        "epoch: 3/3",
    ]


def test_numerical_libraries_keep_to_the_jobs_threads(tmp_path):
    code = (
        "from afterimage.jobs import job_log\n"
        f"with job_log({str(tmp_path / 'a.log')!r}, 1):\n"
        "    import torch\n    print(torch.get_num_threads())\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    assert (tmp_path / "a.log").read_text() == "1\n"


def test_the_closest_name_is_suggested():
    assert closest("gnc", ["gcn", "cnn", "linear"]) == "did you mean 'gcn'?"
    assert closest("zzz", ["b", "a"]) == "known: a, b"


def test_a_missing_gpu_is_said():
    import torch

    if torch.cuda.is_available():
        assert choose_device("cuda") == "cuda"
    else:
        assert choose_device("auto") == "cpu"
        with pytest.raises(InputError, match="a CUDA device"):
            choose_device("cuda")


def test_a_pool_keeps_the_order():
    for threads in (1, 4):
        with pool_of(threads) as each:
            assert list(each(lambda one, other: one - other, [5, 3, 9], [1, 2, 3])) == [4, 1, 6]


def test_numpy_has_one_thread_beside_a_pool():
    def threads_of_blas() -> set[int]:
        return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

    with threadpool_limits(2, user_api="blas"):
        with pool_of(2):
            assert threads_of_blas() == {1}
        assert threads_of_blas() == {2}


def test_the_next_item_is_made_while_this_one_is_used():
    made = [threading.Event() for _ in range(3)]

    def items():
        for number, event in enumerate(made):
            event.set()
            yield number

    used = []
    for number in made_ahead(items()):
        used.append(number)
        assert number == 2 or made[number + 1].wait(10)
    assert used == [0, 1, 2]


def test_an_error_in_an_item_made_ahead_reaches_who_uses_it():
    def items():
        yield 1
        raise InputError("a.png", "a picture", "nothing")

    coming = made_ahead(items())
    assert next(coming) == 1
    with pytest.raises(InputError, match=r"a\.png"):
        next(coming)


def test_compiling_needs_a_compiler_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(InputError, match=r"execution.compile: .*no clang or gcc.* set it to false"):
        require_compiler()
    (tmp_path / "gcc").write_text("#!/bin/sh\n")
    (tmp_path / "gcc").chmod(0o755)
    require_compiler()
    monkeypatch.setenv("CC", "special-cc")
    with pytest.raises(InputError, match="no special-cc"):
        require_compiler()
    monkeypatch.delenv("CC")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="no triton"):
        require_compiler()
