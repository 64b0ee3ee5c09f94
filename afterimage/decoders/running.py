"""From the config's execution settings to what a fit or a prediction runs with."""

import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from afterimage.decoders.interface import Execution
from afterimage.jobs import choose_device, require_compiler


def plan_execution(execution: Mapping[str, Any], state: Path | None = None) -> Execution:
    """Resolve {device, precision, compile}.

    Half precision is bfloat16 autocast, on a GPU unless precision is float32; a CPU computes in
    float32 always, because there half is neither faster nor the same on every machine.

    Raises
    ------
    InputError
        if a GPU is to compile and there is no compiler
    """
    device = execution.get("device", "auto")
    # torch takes seconds to import, and its CPU build needs no asking.
    if device == "auto" and version("torch").endswith("+cpu"):
        device = "cpu"
    device = choose_device(device) if device != "cpu" else device
    gpu = device == "cuda"
    compiled = gpu and bool(execution.get("compile", False))
    if compiled:
        require_compiler()
    return Execution(
        device=device,
        half=gpu and execution.get("precision", "auto") != "float32",
        compile=compiled,
        record=gpu,
        state=state,
    )


def peak_bytes(device: str) -> int:
    """Most GPU memory that this process has held, 0 on a CPU."""
    if device != "cuda" or "torch" not in sys.modules:
        return 0
    return int(sys.modules["torch"].cuda.max_memory_allocated())
