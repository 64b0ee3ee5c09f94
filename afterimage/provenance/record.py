"""What a study was made from, for its record: versions, and files by checksum or stamp."""

import hashlib
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

LARGE = 64 << 20
"""Bytes from which a raw file is told by its size and time: reading a whole release takes hours."""


def versions() -> dict[str, str]:
    """Every installed distribution and its version; of two copies, the one that Python imports."""
    found: dict[str, str] = {}
    for dist in metadata.distributions():
        found.setdefault(dist.metadata["Name"], dist.version)
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def commit(root: Path | str) -> dict[str, Any] | None:
    """The repository's commit and whether files differ from it; None without git's history."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "edited": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None


def checksum(path: Path | str) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def checksums(paths: Iterable[Path | str]) -> dict[str, str]:
    """Path -> SHA-256 of each file, and of each file in each folder."""
    return {str(file): checksum(file) for path in paths for file in _files(Path(path))}


def stamp(path: Path | str) -> dict[str, Any]:
    """A raw file's size, time and, if it is not large, checksum; a folder's number, size and time.

    Returns
    -------
    dict with `bytes` and `modified` (UTC, ISO 8601), `sha256` for a file below `LARGE`, `files` for
    a folder
    """
    path = Path(path)
    status = [file.stat() for file in _files(path)]
    latest = max((one.st_mtime for one in status), default=path.stat().st_mtime)
    found: dict[str, Any] = {
        "bytes": sum(one.st_size for one in status),
        "modified": datetime.fromtimestamp(latest, UTC).isoformat(timespec="seconds"),
    }
    if path.is_dir():
        found["files"] = len(status)
    elif found["bytes"] < LARGE:
        found["sha256"] = checksum(path)
    return found


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file())
