"""Which trials train, which choose (validation) and which test.

An image's split follows from a hash of (seed, image id) alone: never from the order of trials or
from which other images there are, so that adding a session moves no image from one split to
another. Where concepts are held out, it follows from the seed and from which concepts there are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from afterimage.errors import InputError, closest

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "validation", "test")
EXCLUDED = "excluded"
SCHEMES = ("official", "concept_holdout")
COLUMNS = ["trial", "session", "run", "part", "row", "image_id", "split", "repeat"]


def hash_fraction(seed: int, name: str) -> float:
    """sha256 of `seed:name` as a number in [0, 1)."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    # 53 bits are what a float64 holds exactly; all 256 could round up to 1.
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def concept_of(image_id: str) -> str:
    """The concept that a THINGS image shows: its id without the exemplar, `dog_12s` -> `dog`.

    Raises
    ------
    InputError
        if the id has no exemplar
    """
    concept, underscore, exemplar = image_id.rpartition("_")
    if not (concept and underscore and exemplar):
        raise InputError(
            f"image {image_id!r}",
            "an id made of a concept, '_' and an exemplar",
            repr(image_id),
            "Set split.scheme to official for this dataset.",
        )
    return concept


def assign_splits(
    trials: pd.DataFrame, settings: Mapping[str, Any], seed: int, what: str = "trials"
) -> pd.DataFrame:
    """Give every trial its split and its number among the showings of its image.

    Parameters
    ----------
    trials : columns trial, session, run, part, row, image_id, official; a row per trial;
        official is train, test or, where the configuration decides, empty
    settings : `scheme` (official or concept_holdout), `validation_fraction` (of training images,
        or of training concepts under concept_holdout), `test_fraction` (of images whose official
        split is empty); `folds` and `fold` (from 1): of the test concepts, only those of this fold
        are held out and tested, and the others train (with 1 fold, all are held out)
    seed : chooses the validation images, and the test images where nothing official does
    what : name of the dataset and subject for messages

    Returns
    -------
    table with the columns of `COLUMNS`, a row per trial in chronological order; split is train,
    validation, test or excluded; repeat counts an image's showings from 0

    Raises
    ------
    InputError
        if a trial number occurs twice, an image has two official splits, a setting is missing or
        unknown, or a split ends up without images
    """
    scheme = settings.get("scheme", "official")
    if scheme not in SCHEMES:
        raise InputError("split.scheme", "a known scheme", scheme, closest(scheme, list(SCHEMES)))
    table = trials.sort_values("trial", kind="stable").reset_index(drop=True)
    table["image_id"] = table["image_id"].astype(str)
    doubled = table["trial"][table["trial"].duplicated()]
    if len(doubled):
        raise InputError(what, "each trial once", f"trial {doubled.iloc[0]} more than once")
    official = _official_of_image(table, what)
    of_image = _with_test(official, settings, seed, what)
    if scheme == "concept_holdout":
        of_image = _with_concepts_held_out(of_image, settings, seed)
    else:
        of_image = _with_validation(of_image, float(settings["validation_fraction"]), seed)
    table["split"] = table["image_id"].map(of_image)
    table["repeat"] = table.groupby("image_id").cumcount()
    for split in SPLITS:
        if split not in set(of_image.values()):
            raise InputError(
                what,
                f"at least one {split} image",
                f"none among {len(of_image)} images",
                "Change split.validation_fraction, split.test_fraction or the seed.",
            )
    return table[COLUMNS]


def _official_of_image(table: pd.DataFrame, what: str) -> dict[str, str]:
    from pandas import isnull

    official: dict[str, str] = {}
    for image_id, name in zip(table["image_id"], table["official"], strict=True):
        name = "" if isnull(name) else name
        if name not in ("train", "test", ""):
            raise InputError(f"{what}, image {image_id}", "split train, test or empty", repr(name))
        if official.setdefault(image_id, name) != name:
            raise InputError(
                f"{what}, image {image_id}",
                "one split for all its trials",
                f"{official[image_id]!r} and {name!r}",
            )
    return official


def _with_test(
    official: Mapping[str, str], settings: Mapping[str, Any], seed: int, what: str
) -> dict[str, str]:
    """Decide train or test where nothing official does."""
    undecided = "" in official.values()
    if undecided and settings.get("test_fraction") is None:
        image_id = next(image_id for image_id, name in official.items() if not name)
        raise InputError(
            f"{what}, image {image_id}",
            "a split, or split.test_fraction in the configuration",
            "neither",
            "Fill the split column or set split.test_fraction.",
        )

    fraction = float(settings["test_fraction"]) if undecided else 0.0

    def choose(image_id: str) -> str:
        # Its own hash: were it the one that chooses validation, the two choices would depend on
        # each other and validation could stay empty.
        return "test" if hash_fraction(seed, f"test:{image_id}") < fraction else "train"

    return {image_id: name or choose(image_id) for image_id, name in official.items()}


def _with_validation(of_image: Mapping[str, str], fraction: float, seed: int) -> dict[str, str]:
    """Take validation images from the training images."""

    def choose(image_id: str, split: str) -> str:
        return (
            "validation" if split == "train" and hash_fraction(seed, image_id) < fraction else split
        )

    return {image_id: choose(image_id, split) for image_id, split in of_image.items()}


def _with_concepts_held_out(
    of_image: Mapping[str, str], settings: Mapping[str, Any], seed: int
) -> dict[str, str]:
    """No concept in two splits: test concepts of this fold, validation concepts, the others train.

    Official test images of other folds' concepts are excluded; their training images train.
    """
    concepts = {image_id: concept_of(image_id) for image_id in of_image}
    tested = {concepts[image_id] for image_id, split in of_image.items() if split == "test"}
    folds, fold = int(settings.get("folds", 1)), int(settings.get("fold", 1))
    held_out = set(_in_hash_order(tested, seed, "fold")[fold - 1 :: folds])
    left = {concepts[i] for i, split in of_image.items() if split == "train"} - held_out
    # By number, not by a threshold on the hash: among a few concepts, none might fall below it.
    n_validation = max(1, round(float(settings["validation_fraction"]) * len(left)))
    validation = set(_in_hash_order(left, seed, "validation")[:n_validation])

    def choose(image_id: str, split: str) -> str:
        concept = concepts[image_id]
        if split == "test":
            return split if concept in held_out else EXCLUDED
        if concept in held_out:
            return EXCLUDED
        return "validation" if concept in validation else "train"

    return {image_id: choose(image_id, split) for image_id, split in of_image.items()}


def _in_hash_order(names: set[str], seed: int, purpose: str) -> list[str]:
    return sorted(names, key=lambda name: (hash_fraction(seed, f"{purpose}:{name}"), name))


def name_of_scheme(settings: Mapping[str, Any]) -> str:
    """The scheme in words for the tables: `official`, `concept_holdout` or its fold."""
    if settings.get("folds", 1) == 1:
        return str(settings["scheme"])
    return f"{settings['scheme']}, fold {settings.get('fold', 1)} of {settings['folds']}"


def count_splits(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Images and trials of every split that occurs, in the order train, validation, test."""
    return {
        split: {
            "images": int(table.loc[table["split"] == split, "image_id"].nunique()),
            "trials": int((table["split"] == split).sum()),
        }
        for split in (*SPLITS, EXCLUDED)
        if (table["split"] == split).any()
    }
