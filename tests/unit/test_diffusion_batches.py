"""Batches: fixed members, and smaller portions when memory runs out."""

from types import SimpleNamespace

import pytest
import torch

from afterimage.diffusion.batches import Limit, divide, sampling_batch, together, vae_batch
from afterimage.errors import InputError


@pytest.mark.parametrize(("n", "size"), [(0, 4), (1, 4), (10, 4), (12, 4), (13, 5), (7, 100)])
def test_divide_covers_everything_evenly(n, size):
    parts = divide(n, size)
    rows = [row for part in parts for row in range(part.start, part.stop)]
    lengths = [part.stop - part.start for part in parts]
    assert rows == list(range(n))
    assert len(parts) == -(-n // size)
    assert not lengths or max(lengths) <= size
    assert not lengths or max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_running_out_of_memory_halves_and_loses_nothing(error, capsys):
    data = torch.arange(23)
    asked = []

    def compute(part):
        asked.append(part.stop - part.start)
        if part.stop - part.start > 5:
            raise error
        return data[part] * 2

    limit = Limit(16)
    assert torch.equal(together(limit.run(compute, 23)), data * 2)
    assert limit.size == 4
    assert asked == [16, 8, 4, 4, 4, 4, 4, 3]
    assert "out of memory at 16 at once: going on with 8" in capsys.readouterr().out
    assert torch.equal(together(limit.run(compute, 3)), data[:3] * 2)


def test_one_row_that_does_not_fit_is_an_error():
    def compute(part):
        raise MemoryError

    with pytest.raises(InputError, match="one picture at a time"):
        Limit(4).run(compute, 10)


def test_other_errors_pass():
    def compute(part):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        Limit(4).run(compute, 10)


@pytest.mark.parametrize(("native", "pictures"), [(128, 16), (512, 1), (32, 30)])
def test_a_cpus_batch_depends_on_the_model_alone(native, pictures):
    """A rerun must find the same batches, however much memory is free by then."""
    generator = SimpleNamespace(device="cpu", files=SimpleNamespace(native_size=native))
    assert sampling_batch(generator, 15) == pictures
    assert sampling_batch(generator, 15, asked=7) == 7
    assert vae_batch(generator, native) >= pictures
