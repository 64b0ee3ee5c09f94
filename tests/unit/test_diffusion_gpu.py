"""Generation on a GPU: the processor's pictures, whatever the batch, and memory that runs out."""

from pathlib import Path

import numpy as np
import pytest
import torch

from afterimage.diffusion.batches import Limit
from afterimage.diffusion.encoding import embed_texts, encode_pictures
from afterimage.diffusion.model import load_generator
from afterimage.diffusion.reconstruction import Painter
from afterimage.diffusion.requests import Requests
from afterimage.diffusion.sampling import Schedule

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")

MODEL = str(Path(__file__).parents[2] / "resources/demo_diffusion")
N_TOKENS = 15


def pictures(batch=16, **loading):
    """Ten pictures of five images by the demo's generator, int (10, 128, 128, 3)."""
    generator = load_generator(MODEL, **loading)
    rng = np.random.default_rng(0)
    side = 80 // generator.files.scale_factor
    z = (0.8 * rng.normal(size=(5, 4, side, side))).astype(np.float32)
    texts = ["a red square", "a blue circle", "a tree", "two houses", "green"]
    c = embed_texts(generator, [*texts, ""], N_TOKENS)
    requests = Requests(np.array([str(index) for index in range(5)]), z, c[:5])
    schedule = Schedule(steps=20, strength=0.6)
    painter = Painter(generator, requests, c[5], schedule, 0, 2, 128, Limit(batch), Limit(batch))
    return painter.paint(painter.members).cpu().numpy().astype(int)


def test_pictures_in_float32_are_the_processors_to_one_grey_level():
    found = pictures(device="cuda", precision="float32")
    assert np.abs(found - pictures(device="cpu")).max() <= 1
    assert np.abs(found - pictures(batch=3, device="cuda", precision="float32")).max() <= 1


@pytest.mark.parametrize("compiled", [False, True])
def test_half_precision_stays_close(compiled):
    """A grey level on average, of 255; what the tables make of it is a tenth of an interval."""
    expected = pictures(device="cpu")
    found = pictures(device="cuda", precision="float16", compiled=compiled)
    assert np.abs(found - expected).mean() < 1
    assert expected.std() > 20


def test_latents_that_are_targets_are_the_processors():
    rng = np.random.default_rng(1)
    shown = rng.integers(0, 256, (3, 80, 80, 3)).astype(np.uint8)
    on_cpu = encode_pictures(load_generator(MODEL, device="cpu"), shown)
    generator = load_generator(MODEL, device="cuda", precision="float32")
    found = encode_pictures(generator, shown).cpu()
    assert float((found - on_cpu).abs().max()) < 1e-4 * float(on_cpu.abs().max())


def test_running_out_of_a_gpus_memory_halves_the_batch(capsys):
    """A real out-of-memory error, of memory that this process may not have."""
    total = torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction(0.02)
    unit = torch.zeros(int(0.008 * total) // 4, device="cuda")

    def use(rows: slice) -> slice:
        unit.repeat(rows.stop - rows.start)
        return rows

    try:
        limit = Limit(4)
        parts = limit.run(use, 4)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert [rows.stop - rows.start for rows in parts] == [1, 1, 1, 1]
    assert "out of memory at 4 at once: going on with 2" in capsys.readouterr().out
