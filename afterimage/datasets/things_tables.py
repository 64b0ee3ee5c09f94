"""The tables of THINGS-fMRI: trials, voxels and concepts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from afterimage.datasets.regions import LACKING
from afterimage.errors import InputError, closest

if TYPE_CHECKING:
    import pandas as pd

STIMULUS_COLUMNS = ("trial_type", "session", "run", "trial_id", "stimulus", "concept")
COORDINATES = ("voxel_x", "voxel_y", "voxel_z")
CEILING = "nc_testset"
DEFINITION = "Definition (from WordNet, Google, or Wikipedia)"


def locate(root: Path, places: Sequence[str]) -> Path:
    """The first place that exists: archives unpack flat, or into a folder of their own name."""
    return next((root / place for place in places if (root / place).exists()), root / places[0])


def _read(path: Path, what: str, **options) -> "pd.DataFrame":
    import pandas as pd

    if not path.is_file():
        raise InputError(path, what, "nothing")
    try:
        return pd.read_csv(path, **options)
    except (ValueError, UnicodeDecodeError, OSError) as error:
        raise InputError(path, what, str(error).splitlines()[0]) from None


def require_columns(path: Path, table: "pd.DataFrame", columns: Sequence[str]) -> None:
    """Raise InputError for the first column that a table lacks."""
    for name in columns:
        if name not in table:
            known = [str(column) for column in table.columns]
            raise InputError(path, f"a column {name!r}", closest(name, known))


def require_whole_numbers(path: Path, table: "pd.DataFrame", columns: Sequence[str]) -> None:
    """Raise InputError for the first column that holds anything but whole numbers."""
    import pandas as pd

    for name in columns:
        if not pd.api.types.is_integer_dtype(table[name]):
            raise InputError(path, f"whole numbers in column {name}", str(table[name].dtype))


def require_subject(path: Path, table: "pd.DataFrame", subject: str) -> None:
    """Raise InputError if a table's subject_id (1, 01 or sub-01) is another subject's."""
    found = {str(number) for number in table.get("subject_id", [])}
    if found and {name.removeprefix("sub-").lstrip("0") for name in found} != {
        subject.removeprefix("sub-").lstrip("0")
    }:
        raise InputError(path, f"rows of {subject}", f"subject_id {', '.join(sorted(found))}")


def read_stimuli(path: Path, subject: str) -> "pd.DataFrame":
    """Trials in order: trial_type, session, run, trial_id, stimulus, concept.

    Raises
    ------
    InputError
        if trial_id is not the row's own number from 0, a trial is neither train nor test or there
        are none of one kind, a picture is in both, or a stimulus is not named after its concept
    """
    table = _read(path, "THINGS-fMRI's trials (a CSV table)", keep_default_na=False)
    require_columns(path, table, STIMULUS_COLUMNS)
    require_whole_numbers(path, table, ("session", "run", "trial_id"))
    if not np.array_equal(table["trial_id"], np.arange(len(table))):
        raise InputError(path, "trial_id 0, 1, 2, ... in order", "other numbers")
    kinds = sorted(set(table["trial_type"]))
    if not set(kinds) <= {"train", "test"}:
        raise InputError(path, "trial_type train or test", ", ".join(kinds))
    if len(kinds) < 2:
        found = ", ".join(kinds) or "none"
        raise InputError(path, "trials of both types, train and test", f"only {found}")
    require_subject(path, table, subject)
    # Without an exemplar the first part is empty, and no concept's name.
    named = table["stimulus"].str.rpartition("_")[0]
    if (named != table["concept"]).any():
        first = table[named != table["concept"]].iloc[0]
        raise InputError(path, "stimuli named after their concept", f"{first['stimulus']}")
    sessions = table["session"].to_numpy() * 1000 + table["run"].to_numpy()
    if (np.diff(sessions) < 0).any():
        row = int(np.argmax(np.diff(sessions) < 0)) + 1
        raise InputError(
            path, "sessions and runs in the order of showing", f"a step back in row {row}"
        )
    is_test = table["trial_type"] == "test"
    both = sorted(set(table["stimulus"][is_test]) & set(table["stimulus"][~is_test]))
    if both:
        raise InputError(path, "pictures either in training or in test", f"{both[0]} in both")
    return table


def read_voxel_header(path: Path) -> list[str]:
    """Column names of VoxelMetadata; two of the released ones hold a newline."""
    return list(_read(path, "THINGS-fMRI's voxels (a CSV table)", nrows=0).columns)


def read_voxels(path: Path, columns: Sequence[str], extra: Sequence[str]) -> "pd.DataFrame":
    """The wanted 0/1 columns as bool, and those of `extra` that there are, a row per voxel.

    A name may be written without the newline that the file has in it.

    Raises
    ------
    InputError
        if a column is missing or holds anything but 0 and 1, one of `extra` holds anything but
        numbers, a voxel_id occurs twice, or a place is missing or occurs twice
    """
    header = read_voxel_header(path)
    plain = {"".join(name.split()): name for name in reversed(header)}
    spelled: dict[str, str] = {}
    for name in columns:
        own = name if name in header else plain.get("".join(name.split()))
        if own is None:
            raise _no_column(path, name, header)
        spelled[name] = own
    kept = [name for name in ("voxel_id", "subject_id", *extra) if name in header]
    used = set(spelled.values()) | set(kept)
    table = _read(path, "THINGS-fMRI's voxels", usecols=lambda name: name in used)
    if "voxel_id" in table and table["voxel_id"].duplicated().any():
        raise InputError(path, "each voxel_id once", "repeated ones")
    for name in extra:
        if name in table and table[name].dtype.kind not in "iuf":
            raise InputError(path, f"numbers in column {name!r}", "text")
    chosen = table[kept].copy()
    for name, own in spelled.items():
        values = table[own].to_numpy()
        if values.dtype.kind not in "iufb" or not np.isin(values, (0, 1)).all():
            raise InputError(path, f"0 or 1 in column {own!r}", "other values")
        chosen[name] = values.astype(bool)
    _require_places(path, chosen)
    return chosen


def _no_column(path: Path, name: str, header: Sequence[str]) -> InputError:
    """Suggest a column, but never the same region of the other hemisphere: it is no misspelling."""
    other = {"l": "r", "r": "l"}.get(name[:1], "") + name[1:]
    expected = f"a column {name!r}"
    if other != name and other in header:
        return InputError(path, expected, f"only {other!r}, of the other hemisphere", LACKING)
    return InputError(path, expected, closest(name, list(header)))


def _require_places(path: Path, table: "pd.DataFrame") -> None:
    """Raise InputError unless each voxel has a place of its own."""
    if not set(COORDINATES) <= set(table.columns):
        return
    places = table[list(COORDINATES)].to_numpy(np.float64)
    if np.isnan(places).any():
        raise InputError(path, "coordinates of every voxel", "an empty cell")
    if len(np.unique(places, axis=0)) < len(places):
        raise InputError(path, "each voxel in a place of its own", "two in one place")


def is_in_mask_order(table: "pd.DataFrame") -> bool:
    """Whether voxels come as a brain mask lists them, z fastest; True without coordinates.

    No error: it is how masks are usually read, and the release does not promise it.
    """
    if not set(COORDINATES) <= set(table.columns):
        return True
    places = table[list(COORDINATES)].to_numpy(np.float64)
    return np.array_equal(places, places[np.lexsort(places.T[::-1])])


def read_concepts(path: Path) -> "pd.DataFrame":
    """Columns Word and the definition, indexed by uniqueID (which Word is not: bat, bat)."""
    table = _read(
        path, "THINGS' table of concepts", sep="\t", dtype=str, keep_default_na=False
    )  # fmt: skip
    require_columns(path, table, ["uniqueID", "Word", DEFINITION])
    if table["uniqueID"].duplicated().any():
        first = table["uniqueID"][table["uniqueID"].duplicated()].iloc[0]
        raise InputError(path, "each uniqueID once", f"{first} again")
    return table.set_index("uniqueID")[["Word", DEFINITION]]


def concept_text(concept: "pd.Series", kind: str) -> str:
    """A concept's `definition`, its word (`concept`), or "word, definition"."""
    word = " ".join(concept["Word"].split())
    definition = " ".join(concept[DEFINITION].split())
    text = {
        "definition": definition, "concept": word, "concept_definition": f"{word}, {definition}",
    }[kind]  # fmt: skip
    if not definition and kind != "concept":
        raise InputError(f"concept {concept.name}", "a definition", "an empty one")
    return text
