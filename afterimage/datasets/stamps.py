"""What raw files look like from outside, so that what reads them is made again when they change.

Nothing of a file's meaning is read: the look must be cheap enough for every start of the workflow.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from afterimage.datasets import open_dataset

WHOLE_BYTES = 4 << 20
BLOCK_BYTES = 4 << 10
BLOCKS = 65


def check_stamp(datasets: Mapping[str, Mapping[str, Any]]) -> str:
    """Fingerprint of all raw files of some datasets by path, size and time of change.

    Parameters
    ----------
    datasets : the config's entries by name, each with its `subjects`

    Returns
    -------
    16 hexadecimal digits; they change whenever a file is touched, appears or vanishes
    """
    paths: dict[Path, None] = {}
    for settings in datasets.values():
        dataset = open_dataset(dict(settings))
        for subject in settings["subjects"]:
            files = dataset.raw_files(subject)
            paths.update(dict.fromkeys(path for kind in files.values() for path in kind))
    return _digest(_by_time(path) for path in _members(paths))


def reader_stamp(settings: Mapping[str, Any], subject: str, kinds: Sequence[str]) -> str:
    """Fingerprint of the raw files of some kinds by path, size and content.

    Content is that of the whole file up to 4 MiB, of 65 blocks from beginning to end of larger
    ones, and of files inside folders not looked at. Touching a file changes nothing; whatever
    changes a stretch of a 64th of a large file changes the fingerprint, smaller edits may not.

    Parameters
    ----------
    kinds : names of `Dataset.raw_files`

    Returns
    -------
    16 hexadecimal digits
    """
    files = open_dataset(dict(settings)).raw_files(subject)
    paths = [path for kind in kinds for path in files[kind]]
    return _digest(_by_content(path) for path in paths)


def content_stamp(path: Path) -> str:
    """What `reader_stamp` tells a file's content by: of a large one the digest of 65 blocks."""
    state = path.stat()
    return _sample(path, state.st_size, state.st_mtime_ns)


def _digest(lines: Iterable[str]) -> str:
    return sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


def _members(paths: Iterable[Path]) -> Iterator[Path]:
    """Files as they are, folders as the files in them."""
    for path in paths:
        if path.is_dir():
            for folder, _, names in os.walk(path):
                yield from (Path(folder, name) for name in names)
        else:
            yield path


def _by_time(path: Path) -> str:
    return _line(path, lambda state: state.st_mtime_ns)


def _by_content(path: Path) -> str:
    if path.is_dir():
        return "\n".join(sorted(_line(member, lambda state: "") for member in _members([path])))
    return _line(path, lambda state: _sample(path, state.st_size, state.st_mtime_ns))


def _line(path: Path, more: Callable[[os.stat_result], object]) -> str:
    try:
        state = path.stat()
        return f"{path} {state.st_size} {more(state)}"
    except OSError:
        return f"{path} absent"


@lru_cache(maxsize=4096)
def _sample(path: Path, size: int, changed: int) -> str:
    """Digest of a small file, or of blocks of a large one: the first, the last, and between."""
    with open(path, "rb") as stream:
        if size <= WHOLE_BYTES:
            return sha256(stream.read()).hexdigest()[:16]
        digest = sha256()
        for number in range(BLOCKS):
            stream.seek(number * (size - BLOCK_BYTES) // (BLOCKS - 1))
            digest.update(stream.read(BLOCK_BYTES))
    return digest.hexdigest()[:16]
