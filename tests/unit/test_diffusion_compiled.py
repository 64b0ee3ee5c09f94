"""torch.compile: the same pictures, and one compilation whatever the batch."""

import pytest
import torch

from afterimage.diffusion.encoding import embed_texts
from afterimage.diffusion.model import compile_networks, load_generator
from afterimage.diffusion.noise import noise_source
from afterimage.diffusion.sampling import Schedule, denoise
from tests.tiny_diffusion import N_TOKENS, write_model

SCHEDULE = Schedule(steps=5, strength=0.8)


class CountingBackend:
    """A backend of torch.compile that runs graphs as they are and counts them."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph, example_inputs):
        self.graphs += 1
        return graph.forward


@pytest.fixture
def networks(tmp_path):
    """The same model twice, the second compiled, and the backend that counts."""
    folder = str(write_model(tmp_path / "model"))
    plain, compiled = (load_generator(folder, device="cpu") for _ in range(2))
    backend = CountingBackend()
    torch._dynamo.reset()
    compile_networks(compiled, backend)
    yield plain, compiled, backend
    torch._dynamo.reset()


def test_one_compilation_of_the_unet_serves_every_number_of_pictures(networks):
    plain, compiled, backend = networks
    embeddings = torch.from_numpy(embed_texts(plain, ["a red house", ""], N_TOKENS))
    counts = []
    for n in (5, 4, 2):
        start = torch.randn((n, 4, 8, 8), generator=torch.Generator().manual_seed(n))
        context = embeddings[:1].expand(n, -1, -1)
        latents = []
        for generator in (plain, compiled):
            sources = [noise_source(0, f"{index}", 0) for index in range(n)]
            latents.append(denoise(generator, start, context, embeddings[1], sources, SCHEDULE))
        assert torch.allclose(*latents, rtol=0, atol=1e-5 * float(latents[0].abs().max()))
        counts.append(backend.graphs)
    assert counts[0] > 0
    assert counts == counts[:1] * 3
