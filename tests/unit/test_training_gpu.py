"""Training on a GPU: recorded steps are the ordinary ones, and predictions are the processor's."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from afterimage.decoders import make
from afterimage.decoders.interface import Execution
from tests.unit.decoder_samples import SMALL, brain, entry, graph, shapes

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")

RECORDED = Execution(device="cuda", record=True)
NETWORKS = [kind for kind in SMALL if kind != "linear"]


def trained(kind, execution, n_train=600, **more):
    train, validation, test = brain(n_train)
    decoder = make(entry(kind, **more), shapes(train), graph())
    return decoder, decoder.fit(train, validation, execution), test


@pytest.mark.parametrize(
    ("kind", "compiled"), [("cnn", False), ("vae", False), ("gcn", False), ("cnn", True)]
)
def test_recorded_steps_are_the_ordinary_ones(kind, compiled):
    """With their noise: seven full batches and a smaller one in each epoch."""
    more = {"epochs": 3, "input_noise": 0.2, "n_train": 240}
    recorded, history, test = trained(kind, replace(RECORDED, compile=compiled), **more)
    ordinary, expected, _ = trained(kind, replace(RECORDED, record=False), **more)
    for row, other in zip(history, expected, strict=True):
        assert row["train"] == pytest.approx(other["train"], rel=1e-2)
        assert row["validation"] == pytest.approx(other["validation"], rel=1e-2)
    one, two = (decoder.predict(test.x, RECORDED) for decoder in (recorded, ordinary))
    assert ((one - two) ** 2).mean() < 1e-3 * two.var()


@pytest.mark.parametrize("kind", NETWORKS)
def test_half_precision_recovers_a_known_signal(kind):
    decoder, _, test = trained(kind, replace(RECORDED, half=True))
    error = ((decoder.predict(test.x, RECORDED) - test.y) ** 2).mean()
    assert error < 0.2 * test.y.var(axis=0).mean()


@pytest.mark.parametrize("kind", SMALL)
def test_predictions_are_the_processors(kind):
    decoder, _, test = trained(kind, RECORDED, n_train=200)
    on_gpu = decoder.predict(test.x, RECORDED)
    np.testing.assert_allclose(decoder.predict(test.x, Execution()), on_gpu, atol=1e-5)


def test_ridge_is_the_processors():
    on_gpu, _, _ = trained("linear", RECORDED)
    on_cpu, _, _ = trained("linear", Execution())
    np.testing.assert_array_equal(on_gpu.alphas, on_cpu.alphas)
    np.testing.assert_allclose(on_gpu.coefficients, on_cpu.coefficients, atol=1e-4)
