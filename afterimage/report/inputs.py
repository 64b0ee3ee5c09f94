"""Find out, from where each file lies, whose it is, and read it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from afterimage.errors import InputError
from afterimage.stores import read_table

if TYPE_CHECKING:
    import pandas as pd

Subject = tuple[str, str]
"""A dataset's name and a subject's."""


@dataclass(frozen=True)
class Placed:
    """A file and what its place says: whose it is, and the rest of its path below the subject."""

    path: Path
    subject: Subject
    rest: tuple[str, ...]


def place(path: str | Path, results: str | Path) -> Placed:
    """Read dataset and subject off a path below `results`.

    Raises
    ------
    InputError
        if the path is not `{results}/{dataset}/{subject}/...`
    """
    path = Path(path)
    try:
        parts = path.resolve().relative_to(Path(results).resolve()).parts
    except ValueError:
        parts = ()
    if len(parts) < 3:
        raise InputError(path, f"a file in {results}/<dataset>/<subject>/", "another place")
    return Placed(path, (parts[0], parts[1]), parts[2:])


def place_all(paths: Sequence[str | Path], results: str | Path) -> list[Placed]:
    """Place every path, in an order that does not depend on the caller's."""
    return sorted((place(path, results) for path in paths), key=lambda placed: str(placed.path))


def read_optional(path: str | Path | None) -> "pd.DataFrame | None":
    """Read a table, or None if there is no such table in this run."""
    if not path or not Path(path).exists():
        return None
    table = read_table(path)
    return table if len(table) else None


def read_image_scores(files: Sequence[Placed]) -> "pd.DataFrame":
    """All image scores: dataset, subject, method, image_id, sample, protocol, metric, value."""
    import pandas as pd

    parts = []
    for file in files:
        match = re.fullmatch(r"images-(.+)\.parquet", file.rest[-1])
        if not match:
            raise InputError(file.path, "scores/images-<method>.parquet", file.rest[-1])
        table = pd.read_parquet(file.path)
        table = table.assign(
            dataset=file.subject[0], subject=file.subject[1], method=match.group(1)
        )
        table["image_id"] = table["image_id"].astype(str)
        parts.append(table)
    columns = ["dataset", "subject", "method", "image_id", "sample", "protocol", "metric", "value"]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True)


@dataclass
class Pictures:
    """One method's reconstructions of one subject: image id -> its samples' files, in order."""

    subject: Subject
    method: str
    files: dict[str, list[Path]] = field(default_factory=dict)
    native_size: int | None = None


def read_reconstructions(folders: Sequence[Placed]) -> list[Pictures]:
    """Join the shards' manifests: one `Pictures` for each subject and method."""
    import pandas as pd

    found: dict[tuple[Subject, str], list[pd.DataFrame]] = {}
    for folder in folders:
        if len(folder.rest) < 2 or folder.rest[0] != "reconstructions":
            raise InputError(folder.path, "a folder reconstructions/<method>/...", folder.rest[0])
        manifest = folder.path if folder.path.suffix == ".csv" else folder.path / "manifest.csv"
        if not manifest.exists():
            raise InputError(manifest, "the manifest of a shard", "nothing")
        table = pd.read_csv(manifest, dtype={"image_id": str, "file": str})
        table["path"] = [str(manifest.parent / name) for name in table["file"]]
        found.setdefault((folder.subject, folder.rest[1]), []).append(table)
    result = []
    for (subject, method), tables in sorted(found.items()):
        table = pd.concat(tables).sort_values(["image_id", "sample"])
        files = {
            str(image_id): [Path(path) for path in rows["path"]]
            for image_id, rows in table.groupby("image_id")
        }
        sizes = list(table["native_size"].dropna()) if "native_size" in table else []
        native = int(sizes[0]) if sizes else None
        result.append(Pictures(subject, method, files, native))
    return result


def natural(image_id: str) -> tuple[int, int, str]:
    """Sort key: ids that are numbers by their value, the others after them by name."""
    return (0, int(image_id), "") if image_id.isdecimal() else (1, 0, image_id)


def by_subject(table: "pd.DataFrame | None") -> "list[tuple[Subject, pd.DataFrame]]":
    """((dataset, subject), rows) of a table; nothing for none."""
    if table is None or not len(table):
        return []
    grouped = table.groupby(["dataset", "subject"])
    return [((str(key[0]), str(key[1])), rows) for key, rows in grouped]
