"""The computed plan for a GPU: counted operations are those of the layers' closed form."""

import pytest

from benchmarks.training_plan import GPUS, OPTIMISER_BYTES, TRIALS, count, network_seconds

VOXELS, OUTPUTS = 7_604, 10_752


@pytest.fixture(scope="module")
def text():
    return count("text cnn")


def test_operations_of_the_text_network(text):
    convolutions = 9 * 64 * 64 * 7 * VOXELS + 2 * 64 * VOXELS
    linear = VOXELS * 1024 + 1024 * 2048 + 2048 * OUTPUTS
    # A multiplication and an addition, once forward and twice backward.
    assert text["flops"] == pytest.approx(6 * (convolutions + linear), rel=1e-3)
    assert text["step_bytes"] == OPTIMISER_BYTES * 32_176_385


def test_time_grows_with_the_slower_of_device_and_processor(text):
    gpu = GPUS[0]
    seconds = network_seconds(text, gpu)
    assert network_seconds({**text, "flops": 2 * text["flops"]}, gpu) > seconds
    starting = network_seconds({**text, "kernels": 1e6}, gpu)
    assert starting == pytest.approx(100 * -(-TRIALS // 16) * 8)
