"""Find a Stable Diffusion model's files and check them before anything is loaded.

Nothing here imports torch: the checks cost milliseconds and serve a look ahead as well as a job.
"""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from afterimage.diffusion.configs import (
    CONFIGS,
    PARTS,
    MissingFileError,
    read_configs,
    read_object,
)
from afterimage.errors import InputError

WEIGHTS = {
    "vae": ("vae", "diffusion_pytorch_model"),
    "unet": ("unet", "diffusion_pytorch_model"),
    "text": ("text_encoder", "model"),
}


@dataclass(frozen=True)
class ModelFiles:
    """A checked model folder in diffusers' format.

    Attributes
    ----------
    folder : where its files are
    model : the hub id or folder as configured
    revision : the hub's commit, or None for a local folder
    configs : the JSON of each configuration file that is there, by its path in the folder
    variants : per part that was asked for "fp16" where only the half-precision file is there,
        else None
    """

    folder: Path
    model: str
    revision: str | None
    configs: dict[str, dict[str, Any]]
    variants: dict[str, str | None] = field(default_factory=dict)

    @property
    def scale_factor(self) -> int:
        """Picture pixels per latent pixel (8 for Stable Diffusion)."""
        return 2 ** (len(self.configs["vae/config.json"]["block_out_channels"]) - 1)

    @property
    def latent_channels(self) -> int:
        """Channels of a latent (4 for Stable Diffusion)."""
        return int(self.configs["vae/config.json"]["latent_channels"])

    @property
    def native_size(self) -> int:
        """Side in pixels of the pictures that the UNet was trained on (512 for v1.4)."""
        return int(self.configs["unet/config.json"]["sample_size"]) * self.scale_factor

    @property
    def text_width(self) -> int:
        """Width of a token's embedding (768 for v1.4)."""
        return int(self.configs["text_encoder/config.json"]["hidden_size"])

    @property
    def training_steps(self) -> int:
        """Time steps of the noise schedule (1,000 for Stable Diffusion)."""
        return int(self.configs["scheduler/scheduler_config.json"]["num_train_timesteps"])

    def identity(self) -> list[tuple[str, int, int]]:
        """Name, size and time of every file of the parts that were asked for.

        Changes when one is replaced, by one of the same size too; not when the hub's cache fills
        with other parts.
        """
        folders = sorted({Path(name).parent for part in self.variants for name in CONFIGS[part]})
        files = (path for name in folders for path in sorted((self.folder / name).glob("*")))
        stats = ((path, path.stat()) for path in files if path.is_file())
        return [
            (str(path.relative_to(self.folder)), stat.st_size, stat.st_mtime_ns)
            for path, stat in stats
        ]


def find_model(
    model: str,
    revision: str | None = None,
    parts: Sequence[str] = PARTS,
    n_tokens: int | None = None,
) -> ModelFiles:
    """Find a model's folder, locally or through the hub, and check the parts that are needed.

    Parameters
    ----------
    model : a folder in diffusers' format, or a hub id such as CompVis/stable-diffusion-v1-4
    revision : the hub's branch, tag or commit
    parts : of "vae", "unet" and "text"
    n_tokens : tokens that the text encoder is going to be given

    Raises
    ------
    InputError
        if a file is missing or broken, weights are pickles, parts do not fit each other, or the
        hub cannot be reached
    """
    folder, commit = _folder(model, revision, parts)
    try:
        configs = read_configs(folder, parts)
        variants = {part: _check_weights(folder, *WEIGHTS[part]) for part in parts}
        if "text" in parts:
            _check_tokenizer(folder / "tokenizer")
    except MissingFileError as error:
        if commit is None:
            raise
        raise InputError(
            f"diffusion.model {model}",
            "a whole model with safetensors, from the hub or its cache",
            f"no {error.path}",
            "The hub has no such file, or could not be reached for it. " + _how_to(model, revision),
        ) from None
    files = ModelFiles(folder, model, commit, configs, variants)
    _check_fit(files, parts, n_tokens)
    return files


def _folder(model: str, revision: str | None, parts: Sequence[str]) -> tuple[Path, str | None]:
    path = Path(model)
    if path.is_file():
        raise InputError(
            path,
            "a folder in diffusers' format",
            "a single checkpoint file",
            "Convert it with diffusers' StableDiffusionPipeline.from_single_file and "
            "save_pretrained(..., safe_serialization=True).",
        )
    if path.is_dir():
        return path, None
    if path.is_absolute() or model.startswith(".") or model.count("/") != 1:
        raise InputError(
            "diffusion.model", "an existing folder or a hub id owner/name", f"no folder {model}"
        )
    return _download(model, revision, parts)


def _download(model: str, revision: str | None, parts: Sequence[str]) -> tuple[Path, str]:
    """Fetch only what the parts need; what the hub's cache holds is not fetched again."""
    from huggingface_hub import snapshot_download

    folders = {Path(name).parts[0] for part in parts for name in CONFIGS[part]} | {"unet"}
    wanted = ["model_index.json", *(f"{name}/*.json" for name in sorted(folders))]
    wanted += [f"{name}/*.txt" for name in sorted(folders)]
    for part in parts:
        name, stem = WEIGHTS[part]
        wanted += [f"{name}/{stem}.safetensors", f"{name}/{stem}-*.safetensors"]
    try:
        folder = Path(snapshot_download(model, revision=revision, allow_patterns=wanted))
    except Exception as error:  # a lost connection is an error of whichever HTTP client it has
        raise InputError(
            f"diffusion.model {model}",
            "a local folder, or a hub id that the hub or its cache holds",
            f"neither ({type(error).__name__}: {_first_line(error)})",
            _how_to(model, revision),
        ) from None
    return folder, folder.name


def _how_to(model: str, revision: str | None) -> str:
    at = f" --revision {revision}" if revision else ""
    return (
        f"Where there is a network run `hf download {model}{at} --include '*.json' "
        "--include '*.txt' --include '*.safetensors' --exclude '*.fp16.*' "
        "--exclude 'safety_checker/*' --local-dir FOLDER`, and set diffusion.model to FOLDER."
    )


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")


def _check_weights(folder: Path, name: str, stem: str) -> str | None:
    """Check that one part's safetensors are there and whole; give the variant to load."""
    place = folder / name
    if (place / f"{stem}.safetensors").is_file():
        _check_whole(place / f"{stem}.safetensors")
        return None
    index = place / f"{stem}.safetensors.index.json"
    if index.is_file():
        shards = read_object(index).get("weight_map")
        if not isinstance(shards, dict):
            raise InputError(index, "a weight_map", "none", "Fetch it again.")
        for shard in sorted(set(map(str, shards.values()))):
            if not (place / shard).is_file():
                raise MissingFileError(place / shard)
            _check_whole(place / shard)
        return None
    if (place / f"{stem}.fp16.safetensors").is_file():
        _check_whole(place / f"{stem}.fp16.safetensors")
        return "fp16"
    pickles = sorted(path.name for path in place.glob("*") if path.suffix in PICKLES)
    if pickles:
        raise InputError(
            place,
            f"{stem}.safetensors",
            f"only a pickle, {pickles[0]}, which could run code when it is read",
            "Fetch the model's safetensors, or convert it on a machine that you trust with "
            "save_pretrained(..., safe_serialization=True).",
        )
    raise MissingFileError(place / f"{stem}.safetensors")


PICKLES = (".bin", ".ckpt", ".pt", ".pth")


def _check_whole(path: Path) -> None:
    """Check a safetensors file's length against its own header, without reading the tensors."""
    size = path.stat().st_size
    try:
        with open(path, "rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > size:
                raise ValueError("no safetensors header")
            header = json.loads(stream.read(length))
        ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
        expected = 8 + length + max(ends, default=0)
    except (ValueError, struct.error, KeyError, TypeError, AttributeError):
        raise InputError(
            path, "a safetensors file", f"{size} bytes of something else", "Fetch it again."
        ) from None
    if size != expected:
        raise InputError(
            path, f"{expected} bytes by its own header", f"{size} bytes", "Fetch it again."
        )


def _check_tokenizer(folder: Path) -> None:
    if not (folder / "tokenizer.json").is_file():
        for name in ("vocab.json", "merges.txt"):
            if not (folder / name).is_file():
                raise MissingFileError(folder / name)


def _check_fit(files: ModelFiles, parts: Sequence[str], n_tokens: int | None) -> None:
    """Check that the parts belong together: widths, channels and positions."""
    unet, text = files.configs.get("unet/config.json"), files.configs.get(CONFIGS["text"][0])
    if "unet" in parts and "vae" in parts and unet is not None:
        channels = unet["in_channels"]
        if channels != files.latent_channels:
            raise InputError(
                files.folder / "unet/config.json",
                f"in_channels {files.latent_channels}, the VAE's latent channels",
                str(channels),
                "A text-to-image model is needed, not one for inpainting or upscaling.",
            )
    if "unet" in parts and "text" in parts and unet is not None:
        widths = unet["cross_attention_dim"]
        widths = widths if isinstance(widths, list) else [widths]
        if set(widths) != {files.text_width}:
            raise InputError(
                files.folder / "unet/config.json",
                f"cross_attention_dim {files.text_width}, the text encoder's hidden size",
                ", ".join(map(str, widths)),
                "The UNet and the text encoder must come from the same model.",
            )
    if "text" in parts and text is not None and n_tokens is not None:
        positions = text["max_position_embeddings"]
        if not 2 <= n_tokens <= positions:
            raise InputError(
                "diffusion.n_tokens",
                f"2 to {positions}, the text encoder's positions",
                str(n_tokens),
            )
