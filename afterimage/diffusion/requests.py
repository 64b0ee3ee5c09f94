"""Which pictures one shard makes, from which predictions: read and checked before any model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from afterimage.diffusion.files import ModelFiles
from afterimage.errors import InputError, closest
from afterimage.stores import positions, read_arrays

VARIANTS = ("both", "image_only", "text_only")


@dataclass(frozen=True)
class Requests:
    """One shard's images with what they are made from; a row per image, sorted by id.

    Attributes
    ----------
    image_id : str (n,)
    z : scaled latents float32 (n, channels, h, w), or None to start from pure noise
    c : embeddings float32 (n, tokens, width), or None for the empty text
    """

    image_id: np.ndarray
    z: np.ndarray | None
    c: np.ndarray | None


def read_requests(
    z: str | Path | None,
    c: str | Path | None,
    files: ModelFiles,
    cfg: Mapping[str, Any],
    shard: int,
    n_shards: int,
) -> Requests:
    """Read the predictions that the variant uses, join them by id and take one shard.

    Parameters
    ----------
    z, c : stores of predicted latents and embeddings; the one that the variant leaves out is not
        opened and may be None
    cfg : reads `variant`, `n_tokens`, and `image_size` if it is there
    shard, n_shards : this shard (0 to n_shards - 1) of how many; shards are runs of sorted ids

    Raises
    ------
    InputError
        for an unknown variant, ids that do not match, wrong shapes or values that are not finite
    """
    variant = cfg["variant"]
    if variant not in VARIANTS:
        raise InputError(
            "variant", f"one of {', '.join(VARIANTS)}", variant, closest(variant, list(VARIANTS))
        )
    if not 0 <= shard < n_shards:
        raise InputError("shard", f"0 to {n_shards - 1}", str(shard))
    latents = _read(z, "z", variant != "text_only")
    texts = _read(c, "c", variant != "image_only")
    ids = sorted(map(str, (latents or texts or {})["image_id"]))
    mine = np.array_split(np.array(ids, dtype=str), n_shards)[shard]
    rows_z = rows_c = None
    if latents is not None:
        _check_latents(z, latents["z"], files, cfg.get("image_size"))
        rows_z = _rows(z, "z", latents, mine)
    if texts is not None:
        _check_texts(c, texts["c"], files, cfg["n_tokens"])
        rows_c = _rows(c, "c", texts, mine)
    if latents is not None and texts is not None and len(ids) != len(texts["image_id"]):
        raise InputError(c, f"the {len(ids)} images of {z}", f"{len(texts['image_id'])} images")
    return Requests(mine, rows_z, rows_c)


def _read(path: str | Path | None, name: str, needed: bool) -> dict[str, np.ndarray] | None:
    if not needed:
        return None
    if path is None:
        raise InputError("variant", f"predictions {name} for this variant", "none")
    return read_arrays(path, name, "image_id")


def _rows(
    path: str | Path | None, name: str, arrays: dict[str, np.ndarray], mine: np.ndarray
) -> np.ndarray:
    present = [str(image_id) for image_id in arrays["image_id"]]
    rows = np.asarray(arrays[name][positions(list(mine), present, str(path))], dtype=np.float32)
    finite = np.isfinite(rows).all(axis=tuple(range(1, rows.ndim)))
    if not finite.all():
        bad = mine[int(np.argmin(finite))]
        raise InputError(path, f"finite {name}", f"NaN or infinite values for image {bad}")
    return rows


def _check_latents(
    path: str | Path | None, z: np.ndarray, files: ModelFiles, image_size: int | None
) -> None:
    channels = files.latent_channels
    fits = z.ndim == 4 and z.shape[1] == channels and z.shape[2] == z.shape[3]
    side = "side"
    if image_size is not None:
        side = str(image_size // files.scale_factor)
        fits = fits and str(z.shape[2]) == side
    if not fits:
        raise InputError(
            path,
            f"z of shape (images, {channels}, {side}, {side})",
            str(z.shape),
            "Predict latents of this model at this image size.",
        )


def _check_texts(path: str | Path | None, c: np.ndarray, files: ModelFiles, n_tokens: int) -> None:
    if c.ndim != 3 or c.shape[1:] != (n_tokens, files.text_width):
        raise InputError(
            path,
            f"c of shape (images, {n_tokens}, {files.text_width})",
            str(c.shape),
            "Predict embeddings of this model at diffusion.n_tokens.",
        )
