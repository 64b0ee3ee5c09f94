"""Live with torchvision's GPU build beside a CPU build of torch.

The registry's torchvision links against CUDA. Beside a CPU torch its C++ operators are never
registered, and importing it fails on the missing `torchvision::nms`; diffusers, transformers and
lpips then fail with it. Declaring the two schemas that its Python code looks up is enough for
everything that afterimage uses (models and transforms; not the operators themselves).
"""

import sys
from contextlib import suppress
from pathlib import Path


def ensure_torchvision() -> None:
    """Make torchvision importable, declaring its operators where its own build cannot load.

    Call before importing torchvision, lpips, diffusers or transformers, which import it where they
    find it. It does nothing where torchvision's build loads or none is installed.
    """
    from importlib.util import find_spec

    spec = find_spec("torchvision")
    if "torchvision" in sys.modules or spec is None or spec.origin is None:
        return
    import torch

    for build in Path(spec.origin).parent.glob("_C*.so"):
        with suppress(OSError):
            torch.ops.load_library(build)
    if not torch._C._dispatch_has_kernel("torchvision::nms"):
        _declare_operators()


def _declare_operators() -> None:
    import torch

    if _DECLARED:
        return
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    # A Library unregisters its schemas when it is collected: keep it as long as the process.
    _DECLARED.append(library)


_DECLARED: list[object] = []
