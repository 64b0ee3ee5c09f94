"""After the repair, what depends on torchvision imports beside any build of torch."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=300
    )


def test_torchvision_models_work_after_the_repair():
    done = run(
        "from afterimage.compat import ensure_torchvision\n"
        "ensure_torchvision(); ensure_torchvision()\n"
        "import torch, torchvision, lpips\n"
        "from transformers import CLIPTextModel\n"
        "model = torchvision.models.alexnet(weights=None).eval()\n"
        "print(tuple(model.features(torch.zeros(1, 3, 64, 64)).shape))\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(1, 256, 1, 1)"


def test_importing_the_module_imports_nothing_heavy():
    done = run("import sys, afterimage.compat; print('torch' in sys.modules)")
    assert done.stdout.strip() == "False", done.stderr
