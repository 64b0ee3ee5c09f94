"""Second implementations of the scoring networks: plain functions of a state dict, no modules."""

import torch
from torch import Tensor
from torch.nn import functional as f

State = dict[str, Tensor]
IMAGENET = (torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225]))
CLIP = (
    torch.tensor([0.48145466, 0.4578275, 0.40821073]),
    torch.tensor([0.26862954, 0.26130258, 0.27577711]),
)


def normalised(pictures: Tensor, statistics=IMAGENET) -> Tensor:
    mean, deviation = statistics
    return (pictures - mean[:, None, None]) / deviation[:, None, None]


def norm(s: State, name: str, x: Tensor, eps: float) -> Tensor:
    names = ("running_mean", "running_var", "weight", "bias")
    mean, variance, weight, bias = (s[f"{name}.{part}"][:, None, None] for part in names)
    return (x - mean) / torch.sqrt(variance + eps) * weight + bias


def resnet50(s: State, pictures: Tensor) -> Tensor:
    """Average-pooled features of ResNet-50 (He et al. 2016, stride in the 3x3 convolution)."""
    x = f.conv2d(normalised(pictures), s["conv1.weight"], stride=2, padding=3)
    x = f.max_pool2d(f.relu(norm(s, "bn1", x, 1e-5)), 3, 2, 1)
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = f.relu(norm(s, f"{name}.bn1", f.conv2d(x, s[f"{name}.conv1.weight"]), 1e-5))
            y = f.conv2d(y, s[f"{name}.conv2.weight"], stride=stride, padding=1)
            y = f.relu(norm(s, f"{name}.bn2", y, 1e-5))
            y = norm(s, f"{name}.bn3", f.conv2d(y, s[f"{name}.conv3.weight"]), 1e-5)
            if block == 0:
                x = f.conv2d(x, s[f"{name}.downsample.0.weight"], stride=stride)
                x = norm(s, f"{name}.downsample.1", x, 1e-5)
            x = f.relu(x + y)
    return x.mean((2, 3))


# (fused, expansion, kernel, stride, channels, layers) of every stage
EFFICIENTNET_V2_S = [
    (True, 1, 3, 1, 24, 2), (True, 4, 3, 2, 48, 4), (True, 4, 3, 2, 64, 4),
    (False, 4, 3, 2, 128, 6), (False, 6, 3, 1, 160, 9), (False, 6, 3, 2, 256, 15),
]  # fmt: skip
EFFICIENTNET_B1 = [
    (False, 1, 3, 1, 16, 2), (False, 6, 3, 2, 24, 3), (False, 6, 5, 2, 40, 3),
    (False, 6, 3, 2, 80, 4), (False, 6, 5, 1, 112, 4), (False, 6, 5, 2, 192, 5),
    (False, 6, 3, 1, 320, 2),
]  # fmt: skip


def efficientnet(s: State, pictures: Tensor, stages: list, eps: float) -> Tensor:
    """Average-pooled features of an EfficientNet (Tan and Le 2019, 2021)."""

    def convolved(name: str, x: Tensor, stride: int = 1, active: bool = True) -> Tensor:
        weight = s[f"{name}.0.weight"]
        groups = x.shape[1] // weight.shape[1]
        x = f.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=groups)
        x = norm(s, f"{name}.1", x, eps)
        return x * torch.sigmoid(x) if active else x

    x = convolved("features.0", normalised(pictures), 2)
    inward = x.shape[1]
    for stage, (fused, expansion, _, first_stride, channels, layers) in enumerate(stages, start=1):
        for layer in range(layers):
            name, stride = f"features.{stage}.{layer}.block", first_stride if layer == 0 else 1
            y, part = x, 0
            if fused:
                y = convolved(f"{name}.0", y, stride, active=True)
                if expansion > 1:
                    y = convolved(f"{name}.1", y, active=False)
            else:
                if expansion > 1:
                    y, part = convolved(f"{name}.0", y), 1
                y = convolved(f"{name}.{part}", y, stride)
                squeezed = y.mean((2, 3), keepdim=True)
                gate = f"{name}.{part + 1}"
                squeezed = f.conv2d(squeezed, s[f"{gate}.fc1.weight"], s[f"{gate}.fc1.bias"])
                squeezed = squeezed * torch.sigmoid(squeezed)
                squeezed = f.conv2d(squeezed, s[f"{gate}.fc2.weight"], s[f"{gate}.fc2.bias"])
                y = convolved(f"{name}.{part + 2}", y * torch.sigmoid(squeezed), active=False)
            x = x + y if stride == 1 and inward == channels else y
            inward = channels
    return convolved(f"features.{len(stages) + 1}", x).mean((2, 3))


def inception_v3(s: State, pictures: Tensor) -> Tensor:
    """Average-pooled features of Inception v3 (Szegedy et al. 2016), input scaled to -1..1."""

    def c(name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = s[f"{name}.conv.weight"]
        padding = [0, 0] if stride == 2 or name in UNPADDED else [k // 2 for k in weight.shape[2:]]
        x = f.conv2d(x, weight, stride=stride, padding=padding)
        return f.relu(norm(s, f"{name}.bn", x, 1e-3))

    def chain(block: str, x: Tensor, *names: str) -> Tensor:
        for name in names:
            x = c(f"{block}.{name}", x)
        return x

    def pooled(block: str, x: Tensor) -> Tensor:
        return c(f"{block}.branch_pool", f.avg_pool2d(x, 3, 1, 1))

    x = c("Conv2d_1a_3x3", pictures * 2 - 1, 2)
    x = c("Conv2d_2b_3x3", c("Conv2d_2a_3x3", x))
    x = c("Conv2d_4a_3x3", c("Conv2d_3b_1x1", f.max_pool2d(x, 3, 2)))
    x = f.max_pool2d(x, 3, 2)
    for block in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        double = chain(block, x, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3")
        five = chain(block, x, "branch5x5_1", "branch5x5_2")
        x = torch.cat([c(f"{block}.branch1x1", x), five, double, pooled(block, x)], 1)
    double = chain("Mixed_6a", x, "branch3x3dbl_1", "branch3x3dbl_2")
    double = c("Mixed_6a.branch3x3dbl_3", double, 2)
    x = torch.cat([c("Mixed_6a.branch3x3", x, 2), double, f.max_pool2d(x, 3, 2)], 1)
    for block in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        seven = chain(block, x, "branch7x7_1", "branch7x7_2", "branch7x7_3")
        double = chain(block, x, *(f"branch7x7dbl_{part}" for part in range(1, 6)))
        x = torch.cat([c(f"{block}.branch1x1", x), seven, double, pooled(block, x)], 1)
    three = c("Mixed_7a.branch3x3_2", c("Mixed_7a.branch3x3_1", x), 2)
    seven = chain("Mixed_7a", x, "branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3")
    seven = c("Mixed_7a.branch7x7x3_4", seven, 2)
    x = torch.cat([three, seven, f.max_pool2d(x, 3, 2)], 1)
    for block in ("Mixed_7b", "Mixed_7c"):
        three = c(f"{block}.branch3x3_1", x)
        three = torch.cat([c(f"{block}.branch3x3_2{part}", three) for part in "ab"], 1)
        double = chain(block, x, "branch3x3dbl_1", "branch3x3dbl_2")
        double = torch.cat([c(f"{block}.branch3x3dbl_3{part}", double) for part in "ab"], 1)
        x = torch.cat([c(f"{block}.branch1x1", x), three, double, pooled(block, x)], 1)
    return x.mean((2, 3))


UNPADDED = ("Conv2d_2a_3x3", "Conv2d_4a_3x3")


def clip_vision(s: State, pictures: Tensor, heads: int) -> tuple[Tensor, list[Tensor]]:
    """Image embedding and hidden states of CLIP's vision transformer (Radford et al. 2021)."""
    v = "vision_model."
    x = f.conv2d(normalised(pictures, CLIP), s[f"{v}embeddings.patch_embedding.weight"], stride=14)
    x = x.flatten(2).transpose(1, 2)
    first = s[f"{v}embeddings.class_embedding"].expand(len(x), 1, -1)
    x = torch.cat([first, x], 1) + s[f"{v}embeddings.position_embedding.weight"]

    def normed(name: str, x: Tensor) -> Tensor:
        x = x - x.mean(-1, keepdim=True)
        x = x / torch.sqrt(x.square().mean(-1, keepdim=True) + 1e-5)
        return x * s[f"{name}.weight"] + s[f"{name}.bias"]

    def linear(name: str, x: Tensor) -> Tensor:
        return x @ s[f"{name}.weight"].T + s[f"{name}.bias"]

    x, hidden, layer = normed(f"{v}pre_layrnorm", x), [], 0
    while f"{v}encoder.layers.{layer}.layer_norm1.weight" in s:
        name, width = f"{v}encoder.layers.{layer}", x.shape[-1]
        y = normed(f"{name}.layer_norm1", x)
        shape = (*y.shape[:2], heads, width // heads)
        query, key, value = (
            linear(f"{name}.self_attn.{part}_proj", y).view(shape).transpose(1, 2)
            for part in ("q", "k", "v")
        )
        weights = (query @ key.transpose(2, 3) / (width // heads) ** 0.5).softmax(-1)
        y = (weights @ value).transpose(1, 2).reshape(x.shape)
        x = x + linear(f"{name}.self_attn.out_proj", y)
        y = linear(f"{name}.mlp.fc1", normed(f"{name}.layer_norm2", x))
        x = x + linear(f"{name}.mlp.fc2", y * torch.sigmoid(1.702 * y))
        hidden.append(x)
        layer += 1
    pooled = normed(f"{v}post_layernorm", x[:, 0])
    return pooled @ s["visual_projection.weight"].T, hidden
