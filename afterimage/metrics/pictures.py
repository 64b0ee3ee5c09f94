"""Finding reconstructions by image id, and saying what is missing, extra or odd."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from afterimage.errors import InputError
from afterimage.stores import read_table

EXTRA = "extra.txt"
"""In a folder with a manifest: names of pictures that were left out of it."""


@dataclass
class Reconstructions:
    """Files of one method's pictures: image id -> sample -> file, with remarks for a person.

    Samples of an image are numbered from 0, in the order of the numbers that they came with.

    missing : ids that were expected and have no picture
    extra : files whose name is none of the expected ids
    """

    files: dict[str, dict[int, Path]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    resized: dict[str, str] = field(default_factory=dict)

    @property
    def image_ids(self) -> list[str]:
        """Ids in order; ids that are numbers go by number."""
        return sorted(self.files, key=_id_order)

    def remarks(self) -> list[str]:
        """A line for each thing that a person should know."""
        lines = [f"missing: no picture for image {name}" for name in self.missing]
        lines += [f"extra: {name} is no image of the test set, left out" for name in self.extra]
        lines += [f"resized: {name} is {size}" for name, size in self.resized.items()]
        return lines


def _id_order(name: str) -> tuple[int, str]:
    return (len(name) if name.isdigit() else 0, name)


def find_reconstructions(
    folders: Sequence[str | Path], expected: Iterable[str] | None
) -> Reconstructions:
    """Find a method's pictures: shards with a manifest, or a folder of PNGs that others made.

    Parameters
    ----------
    folders : each holds `manifest.csv` (image_id, sample, file), or pictures named
        `{image_id}.png` or `{image_id}_{sample}.png`
    expected : ids of the test images; needed where there is no manifest

    Raises
    ------
    InputError
        if a folder is absent, a manifest names a file that is absent or an image twice, or no
        picture belongs to an expected image
    """
    wanted = None if expected is None else {str(name) for name in expected}
    found = Reconstructions()
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise InputError(folder, "a folder of pictures", "nothing")
        manifest = folder / "manifest.csv"
        if manifest.is_file():
            _from_manifest(folder, manifest, found)
        elif wanted is None:
            raise InputError(folder, "manifest.csv, or the test images' ids", "neither")
        else:
            _from_names(folder, wanted, found)
    if wanted is not None:
        for name in sorted(set(found.files) - wanted):
            found.extra += [path.name for path in found.files.pop(name).values()]
        found.missing = sorted(wanted - set(found.files))
    for name, samples in found.files.items():
        # What others call their samples differs; a sample is the how-manieth of its image.
        found.files[name] = dict(enumerate(samples[number] for number in sorted(samples)))
    if not found.files:
        raise InputError(
            ", ".join(map(str, folders)),
            "pictures named {image_id}.png or {image_id}_{sample}.png",
            f"none of a test image ({len(found.extra)} others)",
        )
    return found


def _from_manifest(folder: Path, manifest: Path, found: Reconstructions) -> None:
    table = read_table(manifest)
    listed = set()
    for name, sample, file in zip(table["image_id"], table["sample"], table["file"], strict=True):
        path = folder / str(file)
        listed.add(path.name)
        if not path.is_file():
            raise InputError(path, f"the picture of image {name}", "nothing", f"See {manifest}.")
        _add(found, str(name), int(sample), path)
    unlisted = sorted(path.name for path in folder.glob("*.png") if path.name not in listed)
    found.extra += unlisted
    if (folder / EXTRA).is_file():
        found.extra += (folder / EXTRA).read_text().splitlines()


def _from_names(folder: Path, wanted: set[str], found: Reconstructions) -> None:
    for path in sorted(folder.glob("*.png")):
        name, _, sample = path.stem.rpartition("_")
        if path.stem in wanted:
            _add(found, path.stem, 0, path)
        elif name in wanted and sample.isdigit():
            _add(found, name, int(sample), path)
        else:
            found.extra.append(path.name)


def _add(found: Reconstructions, name: str, sample: int, path: Path) -> None:
    samples = found.files.setdefault(name, {})
    if sample in samples:
        raise InputError(path, "each image and sample once", f"{samples[sample]} too")
    samples[sample] = path


def read_picture(path: Path) -> np.ndarray:
    """Read a picture file as uint8 (h, w, 3)."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError) as error:
        raise InputError(path, "a picture", str(error) or type(error).__name__) from error


def note_sizes(found: Reconstructions) -> None:
    """Note pictures whose size differs from most of the method's; scoring resizes them."""
    from PIL import Image

    sizes: dict[Path, tuple[int, int]] = {}
    for samples in found.files.values():
        for path in samples.values():
            try:
                with Image.open(path) as picture:
                    sizes[path] = picture.size
            except OSError as error:
                raise InputError(path, "a picture", str(error)) from error
    counts: dict[tuple[int, int], int] = {}
    for size in sizes.values():
        counts[size] = counts.get(size, 0) + 1
    usual = max(counts, key=lambda size: (counts[size], size))
    for path, size in sizes.items():
        if size != usual:
            width, height = size
            found.resized[path.name] = f"{width}x{height}, others {usual[0]}x{usual[1]}"


SeenPicture = Callable[[str], np.ndarray]
