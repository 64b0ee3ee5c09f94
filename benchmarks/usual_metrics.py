"""The usual way to score pictures: loops over pairs with scikit-image, lpips and torchvision."""

from typing import Any

import numpy as np

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def make_pictures(n: int, samples: int, side: int) -> tuple[dict, dict]:
    """Smooth random pictures and noisy versions of them, uint8."""
    from PIL import Image

    generator = np.random.default_rng(0)

    def smooth() -> np.ndarray:
        small = generator.integers(0, 256, size=(12, 12, 3), dtype=np.uint8)
        return np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))

    seen = {str(name): smooth() for name in range(n)}
    made = {
        (name, sample): (0.4 * picture + 0.6 * smooth()).astype(np.uint8)
        for name, picture in seen.items()
        for sample in range(samples)
    }
    return seen, made


def loop_pixels(seen: dict, made: dict) -> dict:
    """PCC and SSIM, pair by pair."""
    from skimage.color import rgb2gray
    from skimage.metrics import structural_similarity

    found = {}
    for (name, sample), picture in made.items():
        one, other = seen[name] / 255.0, picture / 255.0
        found["pcc", name, sample] = np.corrcoef(one.reshape(1, -1), other.reshape(1, -1))[0, 1]
        found["ssim", name, sample] = structural_similarity(
            rgb2gray(one), rgb2gray(other), data_range=1.0
        )
    return found


def lpips_network(device: str, alexnet: Any) -> Any:
    """The lpips package's network with these weights of AlexNet and its own heads."""
    import lpips

    network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval().to(device)
    for slice_number in range(1, 6):
        for index, layer in getattr(network.net, f"slice{slice_number}").named_children():
            layer.load_state_dict(alexnet.features[int(index)].state_dict())
    return network


def loop_lpips(seen: dict, made: dict, device: str, network: Any) -> dict:
    """The lpips package, pair by pair."""
    import torch

    found = {}
    with torch.no_grad():
        for (name, sample), picture in made.items():
            pair = [_tensor(p, device) * 2 - 1 for p in (seen[name], picture)]
            found["lpips_alex", name, sample] = float(network(*pair))
    return found


def loop_alexnet(seen: dict, made: dict, device: str, alexnet: Any) -> dict:
    """Two-way identification by AlexNet's layers: features picture by picture, then corrcoef."""
    layers = {"alexnet2": "features.4", "alexnet5": "features.11"}
    of_seen = [_features(alexnet, layers.values(), p, 224, device) for p in seen.values()]
    found = {}
    for sample in sorted({sample for _, sample in made}):
        of_made = [
            _features(alexnet, layers.values(), made[name, sample], 224, device) for name in seen
        ]
        for metric, layer in layers.items():
            rows = [np.stack([own[layer] for own in side]) for side in (of_seen, of_made)]
            r = np.corrcoef(*rows)[: len(seen), len(seen) :]
            share = (r < np.diag(r)).sum(axis=0) / (len(seen) - 1)
            found.update({(metric, n, sample): v for n, v in zip(seen, share, strict=True)})
    return found


def loop_efficientnet(seen: dict, made: dict, device: str, efficientnet: Any) -> dict:
    """Correlation distance of EfficientNetV2-S's features, picture by picture."""
    from scipy.spatial.distance import correlation

    def of(picture: np.ndarray) -> np.ndarray:
        return _features(efficientnet, ["avgpool"], picture, None, device)["avgpool"]

    of_seen = {name: of(picture) for name, picture in seen.items()}
    return {
        ("efficientnet_v2_s", name, sample): correlation(of_seen[name], of(picture))
        for (name, sample), picture in made.items()
    }


def _tensor(picture: np.ndarray, device: str) -> Any:
    import torch

    return torch.from_numpy(picture.copy()).to(device).permute(2, 0, 1)[None].float() / 255


def _features(
    network: Any, layers: Any, picture: np.ndarray, size: int | None, device: str
) -> dict:
    import torch
    from PIL import Image
    from torchvision.models.feature_extraction import create_feature_extractor
    from torchvision.transforms.functional import normalize

    layers = list(layers)
    key = (id(network), *layers)
    if key not in _EXTRACTORS:
        _EXTRACTORS[key] = create_feature_extractor(network, layers)
    if size:
        picture = np.asarray(Image.fromarray(picture).resize((size, size), 2))
    with torch.no_grad():
        found = _EXTRACTORS[key](normalize(_tensor(picture, device), *IMAGENET))
    return {layer: found[layer].flatten().cpu().numpy() for layer in layers}


_EXTRACTORS: dict = {}
