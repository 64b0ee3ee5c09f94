"""The configuration files of a Stable Diffusion model: read, and checked for what is used."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from afterimage.errors import InputError

PARTS = ("vae", "unet", "text")
CONFIGS = {
    "vae": ("vae/config.json",),
    "unet": ("unet/config.json", "scheduler/scheduler_config.json"),
    "text": ("text_encoder/config.json", "tokenizer/tokenizer_config.json"),
}
# What is read of each configuration: the kind of value, or the values that DDIM can follow.
# Without its noise schedule a model would be sampled by another's, and nothing would say so.
SETTINGS: dict[str, dict[str, Any]] = {
    "vae/config.json": {"block_out_channels": list, "latent_channels": int},
    "unet/config.json": {"in_channels": int, "sample_size": int, "cross_attention_dim": int | list},
    "text_encoder/config.json": {"hidden_size": int, "max_position_embeddings": int},
    "scheduler/scheduler_config.json": {
        "num_train_timesteps": int,
        "beta_start": int | float,
        "beta_end": int | float,
        "beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2"),
    },
}
PREDICTIONS = ("epsilon", "sample", "v_prediction")


def read_configs(folder: Path, parts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The configurations of a model folder: those of the parts checked, others if they are there.

    Raises
    ------
    InputError
        if one is missing or no JSON object, or lacks a setting that is read
    """
    needed = [name for part in parts for name in CONFIGS[part]]
    optional = [name for part in PARTS for name in CONFIGS[part] if name not in needed]
    configs = {}
    for name in needed + optional:
        path = folder / name
        if not path.is_file():
            if name in needed:
                raise MissingFileError(path)
            continue
        configs[name] = read_object(path)
        if name in needed:
            _check_settings(path, configs[name], SETTINGS.get(name, {}))
    return configs


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object, or an InputError."""
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(path, "JSON", f"invalid JSON ({error})", "Fetch it again.") from None
    if not isinstance(found, dict):
        raise InputError(path, "a JSON object", type(found).__name__, "Fetch it again.")
    return found


def _check_settings(path: Path, settings: dict[str, Any], expected: dict[str, Any]) -> None:
    if path.name == "scheduler_config.json":
        expected = expected | {"prediction_type": PREDICTIONS}
        settings = {"prediction_type": PREDICTIONS[0]} | settings
    for name, kind in expected.items():
        value = settings.get(name)
        if isinstance(kind, tuple):
            fits, wanted = value in kind, f"one of {', '.join(kind)}"
        else:
            fits = isinstance(value, kind) and value != []
            wanted = f"of type {kind.__name__ if isinstance(kind, type) else kind}"
        if not fits:
            found = repr(value) if name in settings else "no such setting"
            raise InputError(path, f"{name} {wanted}", found, "Fetch the whole model again.")


class MissingFileError(InputError):
    """A model folder lacks the file `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            path,
            "a file of a model folder in diffusers' format",
            "no such file",
            "Fetch the whole model again.",
        )
