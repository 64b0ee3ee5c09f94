"""Loading the networks that some protocols need from the fetched weights, and none other."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from afterimage.metrics import weights
from afterimage.metrics.pictures import SeenPicture
from afterimage.metrics.prepare import needs_torch
from afterimage.metrics.protocols import Protocol, Step
from afterimage.metrics.scoring import Networks


def load_networks(protocols: Sequence[Protocol], paths: Sequence[str], device: str) -> Networks:
    """Load what the protocols use.

    torch is imported only if there is something to load or a picture is prepared as a tensor.

    Parameters
    ----------
    paths : safetensors files that `fetch_weights` wrote, empty ones with their reason
    device : `auto`, `cpu` or `cuda`; without torch the work is done on the CPU
    """
    notes = {note["network"]: (path, note) for path in paths for note in [weights.metadata(path)]}
    metrics = [metric for protocol in protocols for metric in protocol.metrics]
    wanted = sorted({metric.network for metric in metrics if metric.network})
    reasons = {name: _reason(name, notes) for name in wanted}
    present = [name for name in wanted if not reasons[name]]
    if not present and not any(needs_torch(metric.seen) for metric in metrics):
        return Networks(reasons={**reasons, "lpips": reasons.get("alexnet", "")})
    return _load(present, reasons, notes, {metric.measure for metric in metrics}, device)


def _reason(name: str, notes: dict) -> str:
    if name not in notes:
        return f"no weights of {name} were asked for"
    return notes[name][1]["reason"]


def _load(present: list[str], reasons: dict, notes: dict, measures: set[str], device: str):
    from safetensors.torch import load_file

    from afterimage.jobs import choose_device, keep_float32
    from afterimage.metrics.perceptual import build_lpips, build_network

    device = choose_device(device)
    keep_float32(device)
    features, lpips = {}, None
    for name in present:
        tensors = load_file(notes[name][0])
        features[name] = build_network(name, tensors).to(device)
        if name == "alexnet" and "lpips" in measures:
            if all(f"lin{stage}.model.1.weight" in tensors for stage in range(5)):
                lpips = build_lpips(tensors).to(device)
            else:
                reasons = {**reasons, "lpips": "the weights of alexnet have no LPIPS heads"}
    if reasons.get("alexnet"):
        reasons = {**reasons, "lpips": reasons["alexnet"]}
    return Networks(features, lpips, reasons, device)


def picture_features(
    picture: SeenPicture,
    image_ids: Sequence[str],
    weights_path: str,
    execution: Mapping[str, Any],
    layer: str = "features.11",
) -> np.ndarray:
    """AlexNet's features of pictures at 224 pixels, as rows.

    Parameters
    ----------
    picture : image id -> uint8 (h, w, 3)
    execution : `device`, `batch_size` (0: 8 on the CPU, 64 on a GPU)
    layer : by default the fifth convolution's activations

    Returns
    -------
    float32 (n, d)
    """
    from safetensors.torch import load_file

    from afterimage.jobs import choose_device, keep_float32, progress
    from afterimage.metrics.perceptual import build_network
    from afterimage.metrics.prepare import as_floats, as_tensor, prepare_each

    device = choose_device(execution.get("device", "auto"))
    keep_float32(device)
    network = build_network("alexnet", load_file(weights_path)).to(device)
    size = execution.get("batch_size") or (64 if device == "cuda" else 8)
    steps, rows = [Step("resize", 224)], []
    for start in progress(range(0, len(image_ids), size), "batches of pictures"):
        batch = prepare_each([picture(name) for name in image_ids[start : start + size]], steps)
        found = network.features(as_floats(as_tensor(batch, device)), [layer])[layer]
        rows.append(found.cpu().numpy())
    return np.concatenate(rows)
