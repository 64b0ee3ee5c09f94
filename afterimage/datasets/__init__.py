"""From raw releases to arrays: NSD, THINGS-fMRI and your own data behind one interface."""

from typing import Any

from afterimage.datasets.interface import Dataset, FileCheck, Voxels
from afterimage.errors import InputError, closest

__all__ = ["Dataset", "FileCheck", "Voxels", "open_dataset", "parts"]

FORMATS = ("nsd", "things", "custom")


def open_dataset(settings: dict[str, Any], seed: int = 0) -> Dataset:
    """Open one entry of the config's `datasets`; nothing is read from disk yet.

    Parameters
    ----------
    settings : the entry: `format`, `root`, `areas` and what its format needs (docs/data.md)
    seed : for formats that draw at random; none of the present ones does

    Raises
    ------
    InputError
        if the format is unknown or a setting is not one that the format can honour
    """
    if settings.get("format") == "nsd":
        from afterimage.datasets.nsd import NSD

        return NSD(settings)
    if settings.get("format") == "things":
        from afterimage.datasets.things import Things

        return Things(settings)
    if settings.get("format") == "custom":
        from afterimage.datasets.custom import Custom

        return Custom(settings)
    name = str(settings.get("format"))
    raise InputError("datasets: format", "nsd, things or custom", name, closest(name, [*FORMATS]))


def parts(settings: dict[str, Any], subject: str) -> list[str]:
    """Names of what one reading job reads, without touching a raw file.

    NSD: one part a session, `session01` on: the range of `sessions` as far as the subject has
    them (`nsd_sessions.sessions_of`). THINGS-fMRI and your own data: one part, `all`.
    """
    if settings.get("format") == "nsd":
        from afterimage.datasets.nsd_sessions import part_of, sessions_of

        return [part_of(session) for session in sessions_of(settings, subject)]
    return ["all"]
