"""What a run reads of its datasets beside their trials and pictures."""

from collections.abc import Mapping, Set
from typing import Any

EVERYTHING = frozenset({"betas", "captions"})
"""`betas` with the label volumes and tables of their voxels; `captions` with what joins them."""


def makes_pictures(config: Mapping[str, Any]) -> bool:
    """Whether a run decodes or generates anything; else it scores other systems' pictures alone."""
    run = config["run"]
    return any(run["decoders"].values()) or bool({*run["methods"]} - {*config.get("external", {})})


def needs_of(config: Mapping[str, Any]) -> frozenset[str]:
    """All or nothing of EVERYTHING.

    Decoding takes responses and the latents of pictures and captions; the controls, `oracle` too,
    take latents and reconstruct the images that there are responses to.
    """
    return EVERYTHING if makes_pictures(config) else frozenset()


def is_read(kind: str, needs: Set[str]) -> bool:
    """Whether a run with some needs reads the raw files of a kind (`Dataset.raw_files`)."""
    first = kind.split()[0]
    # Label volumes and tables are read with the betas of their voxels.
    need = {"voxels": "betas"}.get(first, first)
    return need not in EVERYTHING or need in needs
