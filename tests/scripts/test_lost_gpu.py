"""A GPU that is lost in mid-work: one line, nothing finished is lost, and the same bytes after all.

The errors are those that torch raises for CUDA's; the device is a CPU.
"""

from pathlib import Path

import pytest
import torch

from afterimage.jobs import job_log
from tests.scripts.test_reconstruct_images import arguments, files, write_predictions
from tests.scripts.test_train_decoder import train, write_study
from tests.unit.decoder_samples import entry
from workflow_scripts import reconstruct_images

LATE = "\nCUDA kernel errors might be asynchronously reported at some other API call."
ERRORS = [
    torch.AcceleratorError(f"CUDA error: unspecified launch failure{LATE}"),
    RuntimeError(f"CUDA error: uncorrectable ECC error encountered{LATE}"),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """As a job has it; the rest of the tests get back what they had."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def failing_from(usual, call: int, error: Exception):
    """A function that works until it is called so many times, and then never again."""
    calls = []

    def function(*arguments, **options):
        calls.append(1)
        if len(calls) >= call:
            raise error
        return usual(*arguments, **options)

    return function


def line_of(error: Exception) -> str:
    found = str(error).splitlines()[0]
    return f"ERROR the GPU: expected a device that answers, found {found}. "


def assert_said(capsys, log: Path, error: Exception) -> None:
    said = capsys.readouterr().err
    assert said.startswith(line_of(error))
    assert said.count("\n") == 1
    assert "Traceback" in log.read_text()


@pytest.mark.parametrize("error", ERRORS, ids=["launch", "memory", "cudnn"])
@pytest.mark.parametrize("where", ["denoise", "_to_host"])
def test_pictures_go_on_where_they_were(tmp_path, monkeypatch, capsys, where, error):
    from afterimage.diffusion import reconstruction

    folder = write_predictions(tmp_path)
    settings = {"execution": {"batch_size": 2}}
    whole = arguments(folder, tmp_path, out="whole", **settings)
    reconstruct_images.main(**whole)
    call = arguments(folder, tmp_path, out="lost", **settings)
    log = tmp_path / "lost.log"
    with monkeypatch.context() as patched:
        usual = getattr(reconstruction, where)
        patched.setattr(reconstruction, where, failing_from(usual, 5, error))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended, job_log(log):
            reconstruct_images.main(**call)
    assert ended.value.code == 1
    assert_said(capsys, log, error)
    assert not Path(call["out"]).exists()
    kept = {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in Path(call["state"]).glob("portion*/*.png")
    }
    assert 2 <= len(kept) < 12
    reconstruct_images.main(**call)
    assert files(Path(call["out"])) == files(Path(whole["out"]))
    found = {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in Path(call["out"]).glob("*.png")
    }
    assert kept.items() <= found.items()


@pytest.mark.parametrize("error", ERRORS, ids=["launch", "memory", "cudnn"])
def test_training_goes_on_at_its_last_epoch(tmp_path, monkeypatch, capsys, error):
    from afterimage.decoders import training

    write_study(tmp_path)
    settings = entry("cnn", epochs=8, patience=8)
    log = tmp_path / "lost.log"
    with monkeypatch.context() as patched:
        usual = training.train_epoch
        patched.setattr(training, "train_epoch", failing_from(usual, 5, error))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended, job_log(log):
            train(tmp_path, "image", settings)
    assert ended.value.code == 1
    assert_said(capsys, log, error)
    assert not (tmp_path / "model/model.safetensors").exists()
    train(tmp_path, "image", settings)
    assert "resuming after epoch" in capsys.readouterr().out
    train(tmp_path, "image", settings, "whole")
    whole, resumed = (tmp_path / out / "model.safetensors" for out in ("whole", "model"))
    assert whole.read_bytes() == resumed.read_bytes()
