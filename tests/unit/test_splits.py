"""Splits follow from hashes of ids: stable, disjoint, and as large as asked."""

import hashlib

import numpy as np
import pandas as pd
import pytest

from afterimage.errors import InputError
from afterimage.splits import COLUMNS, assign_splits, concept_of, count_splits, hash_fraction

OFFICIAL = {"scheme": "official", "validation_fraction": 0.1}


def table_of(image_ids: list[str], official: list[str]) -> pd.DataFrame:
    n = len(image_ids)
    return pd.DataFrame(
        {
            "trial": np.arange(n),
            "session": 1 + np.arange(n) // 100,
            "run": 1,
            "part": "all",
            "row": np.arange(n),
            "image_id": image_ids,
            "official": official,
        }
    )


def nsd_like(n_train: int = 300, n_test: int = 30, repeats: int = 3) -> pd.DataFrame:
    """Images 0 to n_train - 1 train, the rest test, each shown `repeats` times in random order."""
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(n_train + n_test), repeats))
    return table_of(
        [str(image) for image in order],
        ["train" if image < n_train else "test" for image in order],
    )


def split_of(table: pd.DataFrame) -> dict[str, str]:
    return dict(zip(table["image_id"], table["split"], strict=True))


def test_hash_fraction_is_sha256_of_seed_and_name():
    digest = hashlib.sha256(b"7:2950").hexdigest()
    assert hash_fraction(7, "2950") == pytest.approx(int(digest, 16) / 2**256, abs=1e-15)
    values = [hash_fraction(0, str(i)) for i in range(4000)]
    assert 0 <= min(values) < max(values) < 1
    assert np.mean(values) == pytest.approx(0.5, abs=0.02)


def test_columns_counts_and_repeats():
    table = assign_splits(nsd_like(), OFFICIAL, seed=0)
    assert list(table.columns) == COLUMNS
    count = count_splits(table)
    assert count["test"] == {"images": 30, "trials": 90}
    assert count["train"]["images"] + count["validation"]["images"] == 300
    assert 15 <= count["validation"]["images"] <= 45
    assert table.groupby("image_id")["split"].nunique().eq(1).all()
    for _, rows in table.groupby("image_id"):
        assert rows["repeat"].tolist() == list(range(len(rows)))
        assert rows["trial"].is_monotonic_increasing


def test_rows_are_chronological_whatever_the_order_of_the_input():
    trials = nsd_like()
    expected = assign_splits(trials, OFFICIAL, seed=0)
    shuffled = trials.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(assign_splits(shuffled, OFFICIAL, seed=0), expected)


def test_an_images_split_does_not_depend_on_the_other_images():
    every = split_of(assign_splits(nsd_like(), OFFICIAL, seed=0))
    trials = nsd_like()
    half = trials[trials["image_id"].astype(int) % 2 == 0]
    for image_id, split in split_of(assign_splits(half, OFFICIAL, seed=0)).items():
        assert every[image_id] == split


def test_the_seed_moves_validation_but_never_test():
    first, second = (split_of(assign_splits(nsd_like(), OFFICIAL, seed=s)) for s in (0, 1))
    moved = {image for image in first if first[image] != second[image]}
    assert moved
    assert "test" not in {first[image] for image in moved} | {second[image] for image in moved}


def things_like() -> pd.DataFrame:
    """40 concepts of 12 training images; a 13th of the first 8 concepts is shown for testing."""
    train = [f"thing_{c}_{e:02d}s" for c in range(40) for e in range(1, 13)]
    test = [f"thing_{c}_13s" for c in range(8)] * 12
    return table_of(train + test, ["train"] * len(train) + ["test"] * len(test))


def test_concept_holdout_drops_test_concepts_and_splits_by_concept():
    settings = {"scheme": "concept_holdout", "validation_fraction": 0.2}
    table = assign_splits(things_like(), settings, seed=0)
    table["concept"] = [image_id.rsplit("_", 1)[0] for image_id in table["image_id"]]
    concepts = {split: set(rows["concept"]) for split, rows in table.groupby("split")}
    assert concepts["test"] == concepts["excluded"] == {f"thing_{c}" for c in range(8)}
    assert not concepts["train"] & concepts["test"]
    assert not concepts["train"] & concepts["validation"]
    assert not concepts["validation"] & concepts["test"]
    assert len(concepts["train"] | concepts["validation"]) == 32
    count = count_splits(table)
    assert count["excluded"] == {"images": 96, "trials": 96}
    assert count["validation"]["images"] % 12 == 0
    official = assign_splits(things_like(), {**settings, "scheme": "official"}, seed=0)
    assert "excluded" not in set(official["split"])
    assert set(official.loc[official["split"] == "test", "image_id"]) == set(
        table.loc[table["split"] == "test", "image_id"]
    )


def test_folds_test_every_concept_once_and_never_train_on_it():
    table = things_like()
    tested = []
    for fold in (1, 2, 3):
        settings = {"scheme": "concept_holdout", "validation_fraction": 0.1}
        found = assign_splits(table, {**settings, "folds": 3, "fold": fold}, seed=0)
        found["concept"] = [image_id.rsplit("_", 1)[0] for image_id in found["image_id"]]
        concepts = {split: set(rows["concept"]) for split, rows in found.groupby("split")}
        assert not concepts["test"] & (concepts["train"] | concepts["validation"])
        assert not concepts["train"] & concepts["validation"]
        assert len(concepts["validation"]) == round(0.1 * (40 - len(concepts["test"])))
        others = {f"thing_{c}" for c in range(8)} - concepts["test"]
        assert others <= concepts["train"] | concepts["validation"]
        shown = set(found.loc[found["split"] != "excluded", "image_id"])
        assert not {f"{concept}_13s" for concept in others} & shown
        tested += sorted(concepts["test"])
    assert sorted(tested) == sorted(f"thing_{c}" for c in range(8))


def test_concept_of():
    assert concept_of("dog_12s") == "dog"
    assert concept_of("ice_cream_01b") == "ice_cream"
    for name in ("dog", "_12s", "dog_"):
        with pytest.raises(InputError, match=r"split\.scheme"):
            concept_of(name)


def test_empty_official_splits_are_filled_by_hash():
    trials = nsd_like()
    trials["official"] = ""
    settings = {**OFFICIAL, "test_fraction": 0.2}
    count = count_splits(assign_splits(trials, settings, seed=0))
    assert 40 <= count["test"]["images"] <= 95
    # Validation is a tenth of what is left, so it must not be chosen by the same hash as test.
    assert 10 <= count["validation"]["images"] <= 45
    trials.loc[trials["image_id"] == "5", "official"] = "test"
    assert split_of(assign_splits(trials, settings, seed=0))["5"] == "test"


def test_missing_official_value_counts_as_empty():
    trials = nsd_like()
    trials["official"] = np.nan
    assert "test" in set(assign_splits(trials, {**OFFICIAL, "test_fraction": 0.2}, 0)["split"])


def test_errors_name_what_is_wrong():
    trials = nsd_like()
    with pytest.raises(InputError, match="did you mean 'official'"):
        assign_splits(trials, {"scheme": "oficial", "validation_fraction": 0.1}, 0)
    double = trials.copy()
    double.loc[5, "trial"] = 4
    with pytest.raises(InputError, match="sub: expected each trial once, found trial 4"):
        assign_splits(double, OFFICIAL, 0, "sub")
    mixed = trials.copy()
    mixed.loc[mixed.index[mixed["image_id"] == "7"][0], "official"] = "test"
    with pytest.raises(InputError, match="image 7: expected one split"):
        assign_splits(mixed, OFFICIAL, 0)
    odd = trials.copy()
    odd["official"] = "training"
    with pytest.raises(InputError, match="expected split train, test or empty, found 'training'"):
        assign_splits(odd, OFFICIAL, 0)
    empty = trials.copy()
    empty["official"] = ""
    with pytest.raises(InputError, match="test_fraction"):
        assign_splits(empty, OFFICIAL, 0)
    with pytest.raises(InputError, match="at least one validation image"):
        assign_splits(trials, {**OFFICIAL, "validation_fraction": 0.0}, 0)
    with pytest.raises(InputError, match="at least one test image"):
        assign_splits(trials[trials["official"] == "train"], OFFICIAL, 0)


def test_counts_of_a_design_with_a_known_answer():
    """As NSD's: images with one, two and three showings keep their trials together."""
    ids, official = [], []
    for image in range(120):
        showings = 1 + image % 3
        ids += [str(image)] * showings
        official += ["test" if image >= 100 else "train"] * showings
    count = count_splits(assign_splits(table_of(ids, official), OFFICIAL, 3))
    assert count["test"] == {"images": 20, "trials": sum(1 + i % 3 for i in range(100, 120))}
    trained = [count[split] for split in ("train", "validation")]
    assert sum(part["images"] for part in trained) == 100
    assert sum(part["trials"] for part in trained) == sum(1 + i % 3 for i in range(100))
