"""Networks whose features are compared, and LPIPS. Imports torch: import it inside functions.

Every network takes float32 pictures in 0..1, (n, 3, h, w), normalises them as its weights expect
and gives the named layers' outputs as rows.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import torch
from torch import Tensor, nn

from afterimage.errors import InputError

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
CPU_PIXELS = 512 * 512
LPIPS_LAYERS = ("features.1", "features.4", "features.7", "features.9", "features.11")


def _frozen(body: nn.Module) -> nn.Module:
    """Ready for inference, its weights laid out as convolutions are fastest."""
    body.eval().requires_grad_(False)
    for parameter in body.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return body


class FeatureNetwork(nn.Module):
    """A network, its normalisation and a way to read its layers.

    Parameters
    ----------
    body : the network, called on normalised pictures
    normalisation : mean and standard deviation per colour
    layers : public layer name -> module path in `body`, where they differ
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        body: nn.Module,
        normalisation: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET,
        layers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.body = _frozen(body)
        mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in normalisation)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("deviation", deviation, persistent=False)
        self.layers = dict(layers or {})

    def has(self, layer: str) -> bool:
        """Whether the network has this layer."""
        return self.layers.get(layer, layer) in dict(self.body.named_modules())

    def normalised(self, pictures: Tensor, value_range: int = 1) -> Tensor:
        """Pictures in 0..1 as the weights expect them."""
        return (pictures * value_range - self.mean) / self.deviation

    @torch.inference_mode()
    def features(
        self, pictures: Tensor, layers: Sequence[str], value_range: int = 1
    ) -> dict[str, Tensor]:
        """Outputs of the named layers, float32 (n, d), for pictures (n, 3, h, w) in 0..1.

        `value_range` 255 repeats a published slip: normalisation of pictures in 0..255.
        """
        found: dict[str, list[Tensor]] = {layer: [] for layer in layers}
        modules = dict(self.body.named_modules())
        hooks = [
            modules[self.layers.get(layer, layer)].register_forward_hook(_keep(found, layer))
            for layer in layers
        ]
        try:
            for part in pictures.split(_at_once(pictures)):
                normalised = self.normalised(part, value_range)
                with suppress(_Enough):
                    self.body(normalised.contiguous(memory_format=torch.channels_last))
        finally:
            for hook in hooks:
                hook.remove()
        return {layer: torch.cat(parts) for layer, parts in found.items()}


def _at_once(pictures: Tensor) -> int:
    """Pictures in one pass: on a CPU as many as stay near its cache, on a GPU all."""
    if pictures.device.type != "cpu":
        return len(pictures)
    return max(1, CPU_PIXELS // (pictures.shape[-1] * pictures.shape[-2]))


class _Enough(Exception):  # noqa: N818
    """Ends a forward pass once every layer asked for has been read."""


def _keep(found: dict[str, list[Tensor]], layer: str):
    def hook(_module, _inputs, output) -> None:
        output = output[0] if isinstance(output, tuple) else output
        found[layer].append(output.flatten(1).float().clone())
        if len({len(parts) for parts in found.values()}) == 1:
            raise _Enough

    return hook


class AlexNet(nn.Module):
    """Krizhevsky's one-tower AlexNet with torchvision's layer names; the classifier is optional."""

    def __init__(self, classifier: bool) -> None:
        super().__init__()
        shapes = [(3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1)]
        shapes += [(384, 256, 3, 1, 1), (256, 256, 3, 1, 1)]
        layers: list[nn.Module] = []
        for index, (inward, outward, kernel, stride, padding) in enumerate(shapes):
            layers += [nn.Conv2d(inward, outward, kernel, stride, padding), nn.ReLU()]
            if index in (0, 1, 4):
                layers.append(nn.MaxPool2d(3, 2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6)) if classifier else None
        self.classifier = _alexnet_classifier() if classifier else None

    def forward(self, pictures: Tensor) -> Tensor:
        """Features, and class scores where there is a classifier."""
        features = self.features(pictures)
        if self.classifier is None or self.avgpool is None:
            return features
        return self.classifier(self.avgpool(features).flatten(1))


def _alexnet_classifier() -> nn.Sequential:
    return nn.Sequential(
        nn.Dropout(),
        nn.Linear(256 * 36, 4096),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Linear(4096, 1000),
    )


class Lpips(nn.Module):
    """Learned perceptual image patch similarity, version 0.1, on AlexNet (Zhang et al. 2018).

    Parameters
    ----------
    features : AlexNet's convolutional part
    heads : five weights per channel, (channels,) each, none negative
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, features: nn.Sequential, heads: Sequence[Tensor]) -> None:
        super().__init__()
        self.convolutions = _frozen(features)
        shift = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)
        scale = torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)
        self.register_buffer("shift", shift, persistent=False)
        self.register_buffer("scale", scale, persistent=False)
        self.heads = nn.ParameterList(
            [nn.Parameter(head.reshape(1, -1, 1, 1), requires_grad=False) for head in heads]
        )

    @torch.inference_mode()
    def features(self, pictures: Tensor) -> list[Tensor]:
        """Channel-normalised activations of the five stages for pictures (n, 3, h, w) in 0..1."""
        current = (pictures * 2 - 1 - self.shift) / self.scale
        current = current.contiguous(memory_format=torch.channels_last)
        stages = []
        for name, layer in self.convolutions.named_children():
            current = layer(current)
            if f"features.{name}" in LPIPS_LAYERS:
                length = current.square().sum(1, keepdim=True).sqrt()
                stages.append(current / (length + 1e-10))
        return stages

    @torch.inference_mode()
    def distance(self, one: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
        """Distances (n,) of two results of `features`; one of the two may be a single picture."""
        total = torch.zeros((), device=self.shift.device)
        for left, right, head in zip(one, other, self.heads, strict=True):
            difference = (left - right).square_()
            total = total + torch.einsum("nchw,c->nhw", difference, head[0, :, 0, 0]).mean((1, 2))
        return total


def build_network(name: str, tensors: Mapping[str, Tensor] | None) -> FeatureNetwork:
    """Build a network by name; without tensors its weights are random (for tests).

    Raises
    ------
    InputError
        if the tensors do not fit the architecture
    """
    body, normalisation, layers = architecture(name, tensors)
    if tensors is not None:
        wanted = body.state_dict()
        missing = [key for key in wanted if key not in tensors and not _is_counter(key)]
        if missing:
            raise InputError(f"weights of {name}", f"a tensor {missing[0]}", "none")
        body.load_state_dict({key: tensors[key] for key in wanted if key in tensors}, strict=False)
    return FeatureNetwork(body, normalisation, layers)


def _is_counter(key: str) -> bool:
    return key.endswith(("num_batches_tracked", "position_ids"))


def architecture(name: str, tensors: Mapping[str, Tensor] | None):
    """A network with random weights, its normalisation and the names of its layers.

    `tensors` says whether AlexNet's weights include its classifier.
    """
    if name == "alexnet":
        classifier = tensors is None or "classifier.1.weight" in tensors
        return AlexNet(classifier), IMAGENET, {}
    if name == "clip_vit_l14":
        return clip_vision(), CLIP, CLIP_LAYERS
    from afterimage.compat import ensure_torchvision

    ensure_torchvision()
    from torchvision import models

    if name == "inception_v3":
        # Its weights expect -1..1; transform_input undoes the ImageNet normalisation first. The
        # auxiliary head takes part in training alone.
        network = models.inception_v3(
            weights=None, init_weights=False, aux_logits=False, transform_input=True
        )
        return network, IMAGENET, {"flatten": "avgpool"}
    if name == "swav":
        network = models.resnet50(weights=None)
        network.fc = nn.Identity()
        return network, IMAGENET, {}
    builders = {
        "efficientnet_v2_s": models.efficientnet_v2_s,
        "efficientnet_b1": models.efficientnet_b1,
        "efficientnet_b1_v2": models.efficientnet_b1,
    }
    if name not in builders:
        raise InputError("network", "a known name", repr(name))
    return builders[name](weights=None), IMAGENET, {}


CLIP_LAYERS = {
    "embedding": "visual_projection",
    # A layer's input is the hidden state with its number: hidden 6 comes out of the sixth layer.
    "hidden6": "vision_model.encoder.layers.5",
    "hidden12": "vision_model.encoder.layers.11",
}


def clip_vision() -> nn.Module:
    """CLIP's vision transformer ViT-L/14 with its projection."""
    from afterimage.compat import ensure_torchvision

    ensure_torchvision()
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        patch_size=14,
        image_size=224,
        projection_dim=768,
    )
    return CLIPVisionModelWithProjection(config)


def build_lpips(tensors: Mapping[str, Tensor]) -> Lpips:
    """LPIPS from AlexNet's convolutions and the linear heads `lin0..4.model.1.weight`."""
    convolutions = {key: value for key, value in tensors.items() if key.startswith("features.")}
    network = build_network("alexnet", convolutions)
    heads = [tensors[f"lin{stage}.model.1.weight"].flatten() for stage in range(5)]
    return Lpips(network.body.features, heads)  # type: ignore[arg-type]
