"""A trained decoder's folder: model.safetensors, model.json and its history."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from afterimage import stores
from afterimage.decoders import load_kind
from afterimage.decoders.interface import Decoder, Graph, Shapes
from afterimage.errors import InputError
from afterimage.libraries import library_versions

if TYPE_CHECKING:
    import pandas as pd

GRAPH = "graph/"
START_TOKEN = "start_token"


def save(
    folder: str | Path,
    decoder: Decoder,
    facts: Mapping[str, Any],
    history: Sequence[Mapping[str, float]],
    start_token: np.ndarray | None = None,
) -> None:
    """Write a decoder so that `load` needs nothing else, not even its graph.

    Parameters
    ----------
    facts : what model.json says beside kind, settings and shapes
    history : rows of epoch, train, validation, seconds
    start_token : (width,) the text encoder's first vector, the same for every caption
    """
    from safetensors.numpy import save_file

    tensors = decoder.tensors()
    if decoder.graph is not None:
        tensors |= {GRAPH + name: value for name, value in vars(decoder.graph).items()}
    if start_token is not None:
        tensors[START_TOKEN] = start_token
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with stores.whole(folder / "model.safetensors") as temporary:
        save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, temporary)
    stores.write_table(folder / "history.csv", _table(history))
    described = {
        "kind": type(decoder).__module__.rpartition(".")[2],
        "settings": decoder.settings_dict(),
        "shapes": {"n_voxels": decoder.shapes.n_voxels, "latent": list(decoder.shapes.latent)},
        "n_parameters": decoder.n_parameters(),
        **decoder.notes(),
        **facts,
        "versions": library_versions(),
    }
    stores.write_json(folder / "model.json", described)


def load(folder: str | Path) -> tuple[Decoder, np.ndarray | None]:
    """Read a decoder and, for text, the start token's vector (width,)."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    folder = Path(folder)
    described = stores.read_json(folder / "model.json")
    try:
        tensors = load_file(folder / "model.safetensors")
    except (OSError, SafetensorError) as error:
        raise InputError(
            folder / "model.safetensors", "a safetensors file", str(error), "Train it again."
        ) from None
    graph = {name: tensors.pop(name) for name in list(tensors) if name.startswith(GRAPH)}
    start_token = tensors.pop(START_TOKEN, None)
    kind = load_kind(described["kind"])
    settings = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in described["settings"].items()
    }
    shapes = Shapes(described["shapes"]["n_voxels"], tuple(described["shapes"]["latent"]))
    decoder = kind(kind.settings_type(**settings), shapes, _graph(graph))
    decoder.restore(tensors)
    return decoder, start_token


def _graph(tensors: Mapping[str, np.ndarray]) -> Graph | None:
    parts = {name.removeprefix(GRAPH): value for name, value in tensors.items()}
    return Graph(**parts) if parts else None


def _table(history: Sequence[Mapping[str, float]]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(history, columns=["epoch", "train", "validation", "seconds"])
