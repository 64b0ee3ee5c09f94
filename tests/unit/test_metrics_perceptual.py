"""Scoring networks against second implementations; LPIPS on its real weights against lpips."""

import numpy as np
import pytest
import torch

from afterimage.errors import InputError
from afterimage.metrics import perceptual
from tests.unit import second_networks as second

PARAMETERS = {
    "alexnet": 61_100_840,
    "efficientnet_v2_s": 21_458_488,
    "efficientnet_b1": 7_794_184,
    "efficientnet_b1_v2": 7_794_184,
    # without the auxiliary head of training (27,161,264 with it)
    "inception_v3": 23_834_568,
    # ResNet-50's 25,557,032 less its classifier's 2,049,000
    "swav": 23_508_032,
    "clip_vit_l14": 303_966_208,
}


def pictures(n: int, side: int, seed: int = 0) -> torch.Tensor:
    return torch.rand((n, 3, side, side), generator=torch.Generator().manual_seed(seed))


def shaken(name: str) -> tuple[perceptual.FeatureNetwork, dict[str, torch.Tensor]]:
    """A network whose normalisation statistics, too, are random: at rest they hide mistakes."""
    torch.manual_seed(0)
    network = perceptual.build_network(name, None)
    state = network.body.state_dict()
    for key, tensor in state.items():
        if key.endswith("running_mean"):
            tensor.normal_(0, 0.1)
        elif key.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
    return network, state


def close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return torch.allclose(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_architectures_have_the_published_number_of_parameters(name):
    with torch.device("meta"):
        body, _, _ = perceptual.architecture(name, None)
    assert sum(parameter.numel() for parameter in body.parameters()) == PARAMETERS[name]


def test_swav_is_resnet50_to_its_pooled_features():
    network, state = shaken("swav")
    x = pictures(2, 64)
    assert close(network.features(x, ["avgpool"])["avgpool"], second.resnet50(state, x))


@pytest.mark.parametrize(
    ("name", "stages", "eps"),
    [
        ("efficientnet_v2_s", second.EFFICIENTNET_V2_S, 1e-3),
        ("efficientnet_b1", second.EFFICIENTNET_B1, 1e-5),
    ],
)
def test_efficientnets(name, stages, eps):
    network, state = shaken(name)
    x = pictures(2, 64)
    found = network.features(x, ["avgpool"])["avgpool"]
    assert close(found, second.efficientnet(state, x, stages, eps))


def test_inception_takes_pictures_scaled_to_minus_one_to_one():
    network, state = shaken("inception_v3")
    x = pictures(2, 96)
    found = network.features(x, ["avgpool", "flatten"])
    assert close(found["avgpool"], second.inception_v3(state, x))
    assert torch.equal(found["avgpool"], found["flatten"])


def test_clip_embedding_and_hidden_states():
    torch.manual_seed(0)
    body = perceptual.clip_vision()
    network = perceptual.FeatureNetwork(body, perceptual.CLIP, perceptual.CLIP_LAYERS)
    x = pictures(1, 224)
    found = network.features(x, ["embedding", "hidden6", "hidden12"])
    embedding, hidden = second.clip_vision(body.state_dict(), x, heads=16)
    assert len(hidden) == 24
    assert hidden[0].shape[-1] == 1024
    assert embedding.shape[-1] == 768
    assert close(found["embedding"], embedding)
    # Hidden state 0 is the embedding, so number 6 is the output of the sixth layer.
    assert close(found["hidden6"], hidden[5].flatten(1))
    assert close(found["hidden12"], hidden[11].flatten(1))
    states = body(pixel_values=network.normalised(x), output_hidden_states=True).hidden_states
    assert close(found["hidden6"], states[6].flatten(1))


def test_alexnet_is_torchvisions():
    from afterimage.compat import ensure_torchvision

    ensure_torchvision()
    from torchvision.models import alexnet

    torch.manual_seed(0)
    theirs = alexnet(weights=None).eval()
    ours = perceptual.build_network("alexnet", theirs.state_dict())
    x, layers = pictures(2, 224), ["features.4", "features.11", "features.12", "classifier.5"]
    found = ours.features(x, layers)
    value = second.normalised(x)
    for index, layer in enumerate(theirs.features):
        value = layer(value)
        if f"features.{index}" in layers:
            assert close(found[f"features.{index}"], value.flatten(1).detach())
    value = theirs.avgpool(value).flatten(1)
    for layer in list(theirs.classifier)[:6]:
        value = layer(value)
    assert close(found["classifier.5"], value.detach())


def test_published_slip_of_the_number_range():
    network, _ = shaken("alexnet")
    x = pictures(1, 64)
    slip = network.features(x, ["features.1"], value_range=255)["features.1"]
    expected = torch.relu(network.body.features[0](second.normalised(x * 255))).flatten(1)
    assert close(slip, expected)
    assert not close(slip, network.features(x, ["features.1"])["features.1"])


def test_features_do_not_depend_on_the_batch_or_its_order():
    network, _ = shaken("alexnet")
    x = pictures(4, 96)
    together = network.features(x, ["features.11"])["features.11"]
    alone = torch.cat(
        [network.features(x[i : i + 1], ["features.11"])["features.11"] for i in (3, 1)]
    )
    assert torch.allclose(together[[3, 1]], alone, atol=1e-6)


def test_weights_that_do_not_fit_are_refused_by_name():
    tensors = perceptual.AlexNet(classifier=False).state_dict()
    tensors.pop("features.10.bias")
    with pytest.raises(InputError, match=r"features\.10\.bias"):
        perceptual.build_network("alexnet", tensors)
    with pytest.raises(InputError, match="resnet"):
        perceptual.build_network("resnet", None)


@pytest.fixture(scope="module")
def real_tensors(real_data):
    from safetensors.torch import load_file

    return load_file(real_data / "weights" / "lpips_alexnet_features_and_lin.safetensors")


def test_lpips_on_real_weights_agrees_with_the_lpips_package(real_tensors):
    from afterimage.compat import ensure_torchvision

    ensure_torchvision()
    import lpips

    theirs = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    convolutions = {
        name: tensor for name, tensor in real_tensors.items() if name.startswith("features.")
    }
    for index, part in enumerate([theirs.net.slice1, theirs.net.slice2, theirs.net.slice3,
                                  theirs.net.slice4, theirs.net.slice5]):  # fmt: skip
        for name, layer in part.named_children():
            if isinstance(layer, torch.nn.Conv2d):
                layer.weight.data = convolutions[f"features.{name}.weight"]
                layer.bias.data = convolutions[f"features.{name}.bias"]
        assert torch.equal(
            theirs.lins[index].model[1].weight, real_tensors[f"lin{index}.model.1.weight"]
        )
    one, other = pictures(3, 96), pictures(3, 96, seed=1)
    other[0] = one[0] * 0.7 + 0.1
    ours = perceptual.build_lpips(real_tensors)
    found = ours.distance(ours.features(one), ours.features(other))
    with torch.no_grad():
        expected = theirs(one * 2 - 1, other * 2 - 1).flatten()
    assert found.numpy() == pytest.approx(expected.numpy(), rel=1e-5)
    assert found[0] < found[1]


def test_lpips_of_identical_and_constant_pictures(real_tensors):
    ours = perceptual.build_lpips(real_tensors)
    one = pictures(1, 64)
    same, flat = ours.features(one), ours.features(torch.full_like(one, 0.5))
    assert float(ours.distance(same, same)[0]) == 0
    assert np.isfinite(float(ours.distance(same, flat)[0]))
    assert float(ours.distance(same, flat)[0]) > 0.1


def test_lpips_is_written_out_in_full(real_tensors):
    """Against the definition: unit vectors over channels, squared differences, weights, means."""
    ours = perceptual.build_lpips(real_tensors)
    one, other = pictures(1, 64), pictures(1, 64, seed=1)
    shift = torch.tensor([-0.030, -0.088, -0.188])[:, None, None]
    scale = torch.tensor([0.458, 0.448, 0.450])[:, None, None]
    total, current = 0.0, [(2 * x - 1 - shift) / scale for x in (one, other)]
    kinds = [(0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1)]
    for stage, (layer, stride, padding) in enumerate(kinds):
        if stage in (1, 2):
            current = [torch.nn.functional.max_pool2d(x, 3, 2) for x in current]
        weight, bias = (real_tensors[f"features.{layer}.{part}"] for part in ("weight", "bias"))
        current = [
            torch.nn.functional.conv2d(x, weight, bias, stride, padding).clamp(min=0)
            for x in current
        ]
        units = [x / (x.norm(dim=1, keepdim=True) + 1e-10) for x in current]
        head = real_tensors[f"lin{stage}.model.1.weight"]
        total += float(((units[0] - units[1]) ** 2 * head).sum(1).mean())
    found = float(ours.distance(ours.features(one), ours.features(other))[0])
    assert found == pytest.approx(total, rel=1e-5)
