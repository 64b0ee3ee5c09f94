"""NSD's regions of interest: label volumes and the tables that name their labels.

In a volume -1 is outside the (hemisphere's) cortex, 0 is cortex without a label, 1 to N are labels.
"""

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from afterimage.datasets.nsd_fetch import FETCH, REPLACE
from afterimage.errors import InputError, closest

ATLASES = (
    "HCP_MMP1",
    "Kastner2015",
    "MTL",
    "corticalsulc",
    "floc-bodies",
    "floc-faces",
    "floc-places",
    "floc-words",
    "nsdgeneral",
    "prf-eccrois",
    "prf-visualrois",
    "streams",
    "thalamus",
)
"""Atlases that the release has as volumes."""


def unknown_atlas(folder: Path, atlas: str) -> str:
    """What to do about an atlas that is nowhere, or '' if the release or a folder has it.

    Parameters
    ----------
    folder : the subject's own `roi`, which may hold atlases that the release has not
    """
    own = {
        path.name.removesuffix(".nii.gz").removeprefix("lh.").removeprefix("rh.")
        for path in folder.glob("*.nii.gz")
    }
    known = sorted(own.union(ATLASES))
    if atlas in known:
        return ""
    return f"The release has no atlas of that name ({closest(atlas, known)}): mend areas.*.regions"


def region_volume(root: Path, subject: str, space: str, atlas: str, hemisphere: str) -> list[Path]:
    """The label volume of an atlas: one of both hemispheres, else its two halves, else one half."""
    folder = root / "nsddata/ppdata" / subject / space / "roi"
    halves = [folder / f"lh.{atlas}.nii.gz", folder / f"rh.{atlas}.nii.gz"]
    if hemisphere == "left":
        return halves[:1]
    if hemisphere == "right":
        return halves[1:]
    both = folder / f"{atlas}.nii.gz"
    return halves if not both.exists() and all(half.exists() for half in halves) else [both]


def label_table(root: Path, subject: str, atlas: str) -> Path:
    """The table of an atlas: the subject's own, else fsaverage's (which has no prf- or floc-)."""
    folder = root / "nsddata/freesurfer"
    own = folder / subject / "label" / f"{atlas}.mgz.ctab"
    average = folder / "fsaverage/label" / f"{atlas}.mgz.ctab"
    return average if average.exists() and not own.exists() else own


def read_label_table(path: Path) -> dict[str, int]:
    """Read `<number> <name>` lines as name -> number; blank lines and trailing tabs do no harm.

    Raises
    ------
    InputError
        if a line is anything else, or a number or a name occurs twice
    """
    if not path.is_file():
        raise InputError(path, "the atlas's label table", "nothing", FETCH)
    table: dict[str, int] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(path, "lines of a number and a name", "bytes that are no text") from None
    except OSError as error:
        raise InputError(path, "a label table that may be read", str(error)) from None
    for line in lines:
        words = line.split()
        if not words:
            continue
        # Colour tables of FreeSurfer go on with four colour values: only the first two count.
        if len(words) < 2 or not (words[0].isascii() and words[0].lstrip("-").isdigit()):
            raise InputError(path, "lines of a number and a name", repr(line))
        if words[1] in table or int(words[0]) in table.values():
            raise InputError(path, "each number and name once", repr(line))
        table[words[1]] = int(words[0])
    if not table:
        raise InputError(path, "lines of a number and a name", "an empty file", REPLACE)
    return table


def require_own_table(path: Path, labels: np.ndarray, table: Path) -> None:
    """Raise InputError if a volume holds a label from 1 on that its table does not list.

    The release's tables list every number of their atlas, from 0 (Unknown) to the last.
    """
    known = read_label_table(table).values()
    numbers = np.unique(labels[labels > 0])
    foreign = np.setdiff1d(numbers, np.array(list(known)))
    if len(foreign):
        found = f"{len(foreign)} that it does not list, such as {foreign[0]}"
        hint = "Is one of the two another atlas's file?"
        raise InputError(path, f"labels of {table.name} ({max(known)} the last)", found, hint)


def label_numbers(path: Path, labels: Sequence[Any]) -> list[int]:
    """Numbers of the named labels. Names are text: the label "4" of HCP_MMP1 is not number 4."""
    table = read_label_table(path)
    for label in labels:
        if str(label) not in table:
            raise InputError(path, f"a label {str(label)!r}", closest(str(label), list(table)))
    numbers = [table[str(label)] for label in labels]
    if min(numbers) < 1:
        raise InputError(path, "labels numbered from 1 (0 is unlabelled)", f"{numbers}")
    return numbers


def read_labels(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a label volume.

    Returns
    -------
    labels : (x, y, z) int64
    affine : (4, 4) float64, voxel to millimetre

    Raises
    ------
    InputError
        if it is no volume or holds anything but whole numbers from -1 on
    """
    import nibabel

    if not path.is_file():
        raise InputError(path, "a label volume", "nothing", FETCH)
    try:
        image = nibabel.Nifti1Image.from_filename(path)
        values = np.asarray(image.dataobj)
        if path.suffix == ".gz":
            with gzip.open(path) as stream:
                while stream.read(1 << 20):
                    pass  # to its end, where the checksum is: nibabel stops before it
    except Exception as error:  # nibabel, gzip and zlib each raise their own kinds
        raise InputError(path, "a NIfTI volume", f"{type(error).__name__}: {error}") from None
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 3:
        raise InputError(path, "a volume (x, y, z)", f"shape {values.shape}")
    if values.dtype.kind not in "iuf":
        raise InputError(path, "whole numbers from -1 on", f"values of type {values.dtype}")
    if values.dtype.kind == "u" and values.max() == np.iinfo(values.dtype).max:
        raise InputError(
            path, "whole numbers from -1 on", f"{values.max()}: was -1 stored as {values.dtype}?"
        )
    if not np.isfinite(values).all():
        raise InputError(path, "whole numbers from -1 on", "values that are not finite")
    if not np.isfinite(image.affine).all() or not np.linalg.det(image.affine):
        raise InputError(path, "a place in millimetres (an affine)", "none of use", REPLACE)
    labels = np.rint(values).astype(np.int64)
    if np.abs(values - labels).max() > 1e-3 or labels.min() < -1:
        raise InputError(path, "whole numbers from -1 on", "other values: is it a label volume?")
    return labels, np.asarray(image.affine, dtype=np.float64)


def volume_place(path: Path) -> tuple[tuple[int, int, int], np.ndarray]:
    """The grid (x, y, z) of a label volume and its affine (4, 4), from its header."""
    import nibabel

    if not path.is_file():
        raise InputError(path, "a label volume", "nothing", FETCH)
    try:
        image = nibabel.Nifti1Image.from_filename(path)
        shape, affine = image.shape, np.asarray(image.affine, dtype=np.float64)
    except Exception as error:  # nibabel, gzip and zlib each raise their own kinds
        raise InputError(path, "a NIfTI volume", f"{type(error).__name__}: {error}") from None
    if len(shape) < 3 or any(side != 1 for side in shape[3:]):
        raise InputError(path, "a volume (x, y, z)", f"shape {shape}")
    if not np.isfinite(affine).all() or not np.linalg.det(affine):
        raise InputError(path, "a place in millimetres (an affine)", "none of use", REPLACE)
    return (shape[0], shape[1], shape[2]), affine


def require_same_place(path: Path, shape: tuple[int, ...], affine: np.ndarray, other: Path) -> None:
    """Raise InputError if a volume has another grid than another one, or lies elsewhere.

    Places may differ by a thousandth of a millimetre.
    """
    grid, place = volume_place(other)
    hint = "Are both of the same subject and release?"
    if shape != grid:
        raise InputError(path, f"the grid {grid} of {other.name}", f"{shape}", hint)
    if not np.allclose(affine, place, atol=1e-3):
        expected, found = (_place_in_words(each) for each in (place, affine))
        raise InputError(path, f"the place of {other.name} ({expected})", found, hint)


def _place_in_words(affine: np.ndarray) -> str:
    from nibabel.affines import voxel_sizes
    from nibabel.orientations import aff2axcodes

    axes = "".join(str(code or "?") for code in aff2axcodes(affine))
    first, sides = np.round(affine[:3, 3], 2).tolist(), np.round(voxel_sizes(affine), 2).tolist()
    return f"first voxel at {first} mm, voxels of {sides} mm, axes {axes}"


def region_positions(labels: np.ndarray, numbers: Sequence[int] | None) -> np.ndarray:
    """Flat positions, in the betas' (z, y, x) order, of some labels, or of all from 1 on."""
    chosen = labels > 0 if numbers is None else np.isin(labels, np.asarray(numbers))
    return np.flatnonzero(chosen.transpose(2, 1, 0))


def coordinates(index: np.ndarray, grid: tuple[int, int, int], affine: np.ndarray) -> np.ndarray:
    """Millimetres (n, 3) float32 of flat positions in the (z, y, x) order of a grid (x, y, z)."""
    z, y, x = np.unravel_index(index, grid[::-1])
    voxel = np.stack([x, y, z], axis=1).astype(np.float64)
    return (voxel @ affine[:3, :3].T + affine[:3, 3]).astype(np.float32)


def read_regions(
    root: Path,
    subject: str,
    space: str,
    hemisphere: str,
    regions: Mapping[str, Any],
    reference: Path,
) -> tuple[dict[str, np.ndarray], tuple[int, int, int], np.ndarray]:
    """Positions of every region, and the grid (x, y, z) and affine that their volumes share.

    Parameters
    ----------
    reference : the volume whose grid and place every other must have

    Raises
    ------
    InputError
        if a file or label is missing, or a volume differs from `reference` in grid or place
    """
    grid, affine = volume_place(reference)
    volumes: dict[str, tuple[Path, np.ndarray]] = {}
    found: dict[str, np.ndarray] = {}
    for name, region in regions.items():
        atlas = region["atlas"]
        if atlas not in volumes:
            paths = region_volume(root, subject, space, atlas, hemisphere)
            read = [read_labels(path) for path in paths]
            for path, (labels, its_affine) in zip(paths, read, strict=True):
                require_same_place(path, labels.shape, its_affine, reference)
            volumes[atlas] = paths[0], np.maximum.reduce([labels for labels, _ in read])
        path, labels = volumes[atlas]
        chosen = region.get("labels")
        numbers = None
        if chosen:
            table = label_table(root, subject, atlas)
            numbers = label_numbers(table, chosen)
            require_own_table(path, labels, table)
        found[name] = region_positions(labels, numbers)
        if not len(found[name]):
            raise InputError(path, f"voxels labelled {chosen or 'from 1 on'}", "none")
    return found, grid, affine
