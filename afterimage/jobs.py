"""What every job of the workflow shares: its log, its progress and its device."""

import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from afterimage.errors import InputError

T = TypeVar("T")
Each = Callable[..., Iterable[Any]]
"""`map`, or a function like it that works on several items at a time."""
# How torch begins what CUDA, its driver and cuDNN say
LOST = (
    "CUDA error: ",
    "CUDA driver error: ",
    "CUDA unknown error",
    "cuDNN error: ",
    "No CUDA GPUs are available",
)

_job = ""
"""What a bar on the terminal calls the job: its rule and its log's name."""


@contextmanager
def job_log(log: str | Path, threads: int = 1) -> Iterator[None]:
    """Send a job's output to its log; on failure say why in one line on the terminal too.

    An InputError ends the job with its own line and no traceback. A GPU that no longer answers is
    said to be that. Anything else is a defect: the traceback goes to the log and its last line to
    the terminal.
    """
    global _job
    _limit_threads(threads)
    before, terminal = sys.stdout, sys.stderr
    _job = f"{Path(log).parent.name} {Path(log).stem}, "
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w", buffering=1) as stream:
        sys.stdout = sys.stderr = stream
        try:
            yield
        except InputError as error:
            print(f"ERROR {error}", file=stream)
            print(f"ERROR {error}", file=terminal)
            raise SystemExit(1) from None
        except Exception as error:
            traceback.print_exc(file=stream)
            said = lost_gpu(error) or f"{type(error).__name__}: {error}"
            print(f"ERROR {said} (see {log})", file=terminal)
            raise SystemExit(1) from None
        finally:
            sys.stdout, sys.stderr = before, terminal
            _job = ""


def lost_gpu(error: Exception) -> str:
    """One line on a GPU that no longer answers, or '' for any other error.

    Running out of its memory and a kernel's failed assertion are not the device's fault.
    """
    text = str(error)
    lost = isinstance(error, RuntimeError) and any(sign in text for sign in LOST)
    if not lost or "out of memory" in text or "device-side assert" in text:
        return ""
    return str(
        InputError(
            "the GPU",
            "a device that answers",
            text.splitlines()[0],
            "What was finished is kept: when nvidia-smi lists the device again, run again.",
        )
    )


def _limit_threads(threads: int) -> None:
    """Keep numerical libraries to the job's own cores, now and when they are imported later."""
    import os

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def progress(
    items: Iterable[T],
    what: str,
    total: int | None = None,
    every: float = 10.0,
    size: Callable[[T], int] = lambda item: 1,
) -> Iterator[T]:
    """Yield items, showing how many are done and the time left.

    In a log, a plain line at most every `every` seconds; on a terminal a bar, which of a job
    appears once it has taken so long. `size` is how many of `what` an item is, and `total` counts.
    """
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    to_log = not sys.stderr.isatty()
    begin = said = time.monotonic()
    done = 0
    with _bar(what, total, every if _job else 0) as bar:
        for item in items:
            yield item
            done += size(item)
            bar.update(size(item))
            now = time.monotonic()
            if to_log and (now - said >= every or done == total):
                print(_line(what, done, total, now - begin), flush=True)
                said = now


def _line(what: str, done: int, total: int | None, seconds: float) -> str:
    left = f", {seconds / done * (total - done):.0f} s left" if total else ""
    return f"{what}: {done}/{total or '?'} after {seconds:.0f} s{left}"


def _bar(what: str, total: int | None, delay: float):
    """A bar on the terminal that the process was started from, none where there is none.

    A job's own standard error is its log, and the terminal is shared with other jobs: the bar
    names the job, is drawn once a second and wipes itself out.
    """
    from tqdm import tqdm

    terminal = sys.__stderr__
    return tqdm(
        desc=_job + what,
        total=total,
        file=terminal,
        disable=terminal is None or not terminal.isatty(),
        delay=delay,
        mininterval=1.0 if _job else 0.1,
        leave=not _job,
        dynamic_ncols=True,
    )


@contextmanager
def pool_of(threads: int) -> Iterator[Each]:
    """A `map` that runs on so many threads; Python's own for one.

    Meanwhile numpy's products of vectors keep to the thread that they are called from: with threads
    of their own they would wait for the same cores, several times as long as they compute.
    """
    if threads < 2:
        yield map
        return
    from threadpoolctl import threadpool_limits

    with ThreadPoolExecutor(threads) as pool, threadpool_limits(1, user_api="blas"):
        yield pool.map


def made_ahead(items: Iterable[T]) -> Iterator[T]:
    """Yield items while a thread makes the next one."""
    iterator = iter(items)
    end = object()
    with ThreadPoolExecutor(1) as maker:
        coming = maker.submit(next, iterator, end)
        while (item := coming.result()) is not end:
            coming = maker.submit(next, iterator, end)
            yield item  # type: ignore[misc]


def keep_float32(device: str) -> None:
    """Let a GPU's convolutions of float32 be float32, as on a CPU.

    PyTorch would round their factors to TensorFloat-32 (10 bits): in latents that are targets, and
    in scores, a difference that depends on the device.
    """
    if device == "cuda":
        import torch

        torch.backends.cudnn.allow_tf32 = False


def require_compiler() -> None:
    """Look for what torch.compile calls on a GPU's machine, before anything is loaded.

    Raises
    ------
    InputError
        if there is no C compiler, or no Triton beside torch
    """
    import os
    from importlib.util import find_spec

    named = os.environ.get("CC")
    compilers = [named] if named else ["clang", "gcc"]
    lacking = [] if any(map(shutil.which, compilers)) else [f"no {' or '.join(compilers)}"]
    lacking += [] if find_spec("triton") else ["no triton in this environment"]
    if lacking:
        raise InputError(
            "execution.compile",
            "a C compiler and triton",
            ", ".join(lacking),
            "Install them (or load your cluster's module), or set it to false.",
        )


def choose_device(device: str) -> str:
    """Name of the torch device for `auto`, `cpu` or `cuda`.

    Raises
    ------
    InputError
        if `cuda` was asked for and torch sees none
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "execution.device", "a CUDA device", "none", "Set it to auto, or check the driver."
        )
    return device
