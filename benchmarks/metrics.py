"""Scoring reconstructions, beside per-image loops with scikit-image, lpips and torchvision.

    python benchmarks/metrics.py                          # 200 pictures x 5 samples at 512 pixels
    python benchmarks/metrics.py --pictures 8 --threads 1 # the same per picture, sooner on a CPU

Both ways score the same pictures, held in memory, with the same weights (random ones of the true
architectures; the LPIPS heads are the real ones) and their values are compared. The loops are what
notebooks do: `np.corrcoef` and `structural_similarity` per pair, `lpips.LPIPS` per pair, a feature
extractor per picture (seen pictures once), `np.corrcoef` over all features for identification. On a
GPU the loops' networks run there too.

The last line is JSON: seconds of both ways and their ratio (theirs over ours) per group of metrics,
the largest difference of any value, hardware. On a CPU they are seconds of processor time, which
other work on the machine does not change; on a GPU, of the clock.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

GROUPS = {
    "pixels": ("pcc", "ssim"),
    "lpips": ("lpips_alex",),
    "alexnet": ("alexnet2", "alexnet5"),
    "efficientnet": ("efficientnet_v2_s",),
}
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


def random_networks(device: str) -> tuple[Any, Any]:
    """AlexNet and EfficientNetV2-S with random weights, as torchvision builds them."""
    import torch
    from torchvision import models

    torch.manual_seed(0)
    built = models.alexnet(weights=None), models.efficientnet_v2_s(weights=None)
    return tuple(network.eval().to(device) for network in built)  # type: ignore[return-value]


# --- the usual way ---------------------------------------------------------------------------


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


def loop_lpips(seen: dict, made: dict, device: str, alexnet: Any) -> dict:
    """The lpips package, pair by pair."""
    import lpips
    import torch

    network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval().to(device)
    for slice_number in range(1, 6):
        for index, layer in getattr(network.net, f"slice{slice_number}").named_children():
            layer.load_state_dict(alexnet.features[int(index)].state_dict())
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


# --- this project's way ----------------------------------------------------------------------


def protocol_of(group: str) -> Any:
    """The metrics of one group, as the first protocol that has them defines them."""
    from dataclasses import replace

    from afterimage.metrics.protocols import load_protocols

    chosen = [
        replace(p, metrics=tuple(m for m in p.metrics if m.name in GROUPS[group]))
        for p in load_protocols(["report", "brain-diffuser"])
    ]
    return next(p for p in chosen if p.metrics)


def score_group(seen: dict, made: dict, protocol: Any, networks: Any, batch_size: int) -> dict:
    """One group's metrics through `score_method`."""
    from afterimage.metrics.pictures import Reconstructions
    from afterimage.metrics.scoring import score_method

    files: dict = {}
    for name, sample in made:
        files.setdefault(name, {})[sample] = Path(f"{name}_{sample}")

    def read(path: Path) -> np.ndarray:
        name, sample = path.name.rsplit("_", 1)
        return made[name, int(sample)]

    rows = score_method(
        Reconstructions(files), seen.__getitem__, [protocol], networks, batch_size, read
    )
    assert not any(reason for *_, reason in rows)
    return {(metric, name, sample): value for name, sample, _, metric, value, _ in rows}


def our_networks(device: str, alexnet: Any, efficientnet: Any) -> Any:
    """The same weights behind this project's interface."""
    import torch

    from afterimage.metrics.perceptual import build_lpips, build_network
    from afterimage.metrics.scoring import Networks
    from afterimage.metrics.weights import lpips_heads

    tensors = alexnet.state_dict()
    heads = {name: torch.from_numpy(head) for name, head in lpips_heads().items()}
    features = {
        "alexnet": build_network("alexnet", tensors).to(device),
        "efficientnet_v2_s": build_network("efficientnet_v2_s", efficientnet.state_dict()).to(
            device
        ),
    }
    return Networks(features, build_lpips({**tensors, **heads}).to(device), {}, device)


def timed(work: Callable[[], dict], device: str) -> tuple[float, dict]:
    """Seconds of the clock on a GPU, of processor time on a CPU, and the values."""
    import torch

    if device == "cpu":
        begin = time.process_time()
        found = work()
        return time.process_time() - begin, found
    torch.cuda.synchronize()
    begin = time.perf_counter()
    found = work()
    torch.cuda.synchronize()
    return time.perf_counter() - begin, found


def main() -> None:
    """Time both ways, group by group, and compare their values."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=0, help="0: as many as there are cores")
    parser.add_argument("--batch-size", type=int, default=0)
    parser.add_argument("--groups", nargs="*", default=list(GROUPS), choices=list(GROUPS))
    asked = parser.parse_args()

    from afterimage.compat import ensure_torchvision
    from afterimage.jobs import choose_device

    ensure_torchvision()
    import torch

    torch.set_num_threads(asked.threads or os.cpu_count() or 1)
    device = choose_device(asked.device)
    batch_size = asked.batch_size or (64 if device == "cuda" else 8)
    alexnet, efficientnet = random_networks(device)
    networks = our_networks(device, alexnet, efficientnet)
    loops: dict[str, Callable[[dict, dict], dict]] = {
        "pixels": loop_pixels,
        "lpips": partial(loop_lpips, device=device, alexnet=alexnet),
        "alexnet": partial(loop_alexnet, device=device, alexnet=alexnet),
        "efficientnet": partial(loop_efficientnet, device=device, efficientnet=efficientnet),
    }
    seen, made = make_pictures(asked.pictures, asked.samples, asked.side)
    few = make_pictures(3, 1, asked.side)
    result: dict[str, Any] = {}
    for group in asked.groups:
        settings = {"protocol": protocol_of(group), "networks": networks, "batch_size": batch_size}
        ways = (loops[group], partial(score_group, **settings))
        for way in ways:
            way(*few)
        (theirs, expected), (ours, found) = (timed(partial(w, seen, made), device) for w in ways)
        assert found.keys() == expected.keys()
        difference = max(abs(found[key] - expected[key]) for key in expected)
        result[group] = {
            "loops_s": round(theirs, 3),
            "ours_s": round(ours, 3),
            "ratio": round(theirs / ours, 2),
            "largest_difference": float(difference),
        }
        print(group, result[group], flush=True)
    on_cpu = f"CPU {platform.machine()}, {torch.get_num_threads()} threads"
    hardware = torch.cuda.get_device_name() if device == "cuda" else on_cpu
    conditions = {"pictures": asked.pictures, "samples": asked.samples, "side": asked.side}
    conditions |= {"device": device, "threads": torch.get_num_threads(), "hardware": hardware}
    ratio = min(group["ratio"] for group in result.values())
    # Networks add in another order; half of float32's digits are far more than a table shows.
    equal = all(group["largest_difference"] < 1e-5 for group in result.values())
    print(json.dumps({"ratio": ratio, "equal": equal, "groups": result, **conditions}))


if __name__ == "__main__":
    main()
