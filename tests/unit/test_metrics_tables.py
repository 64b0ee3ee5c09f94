"""Tables from per-image scores: averages, ratios, spreads, pairs; checked by hand."""

import numpy as np
import pandas as pd
import pytest

from afterimage.errors import InputError
from afterimage.metrics import comparisons, statistics, tabulation


def latent_rows(decoder: str, seed: int = 0, shift: float = 0.0, n: int = 12) -> pd.DataFrame:
    generator = np.random.default_rng(1)
    mse = 1 + generator.random(n) + shift
    columns = {"mse": mse, "mse_mean": 3 + generator.random(n), "total": 2 + generator.random(n),
               "mse_optimal": mse - 0.5, "two_way": generator.random(n)}  # fmt: skip
    parts = [
        pd.DataFrame({"image_id": [f"i{k}" for k in range(n)], "score": name, "value": values})
        for name, values in columns.items()
    ]
    figure = {"image_id": "", "score": "participation_ratio", "value": [4.5 + shift]}
    parts.append(pd.DataFrame({**figure, "draws": [np.arange(101) + shift]}))
    table = pd.concat(parts, ignore_index=True)
    return table.assign(
        dataset="d", subject="s", target="image", decoder=decoder, split="test", seed=seed
    )


def by_score(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index("score")


def test_latent_values_intervals_and_ratios():
    rows = latent_rows("gcn")
    found = by_score(tabulation.latent_table(rows, n_bootstrap=500, seed=3))
    wide = rows[rows["image_id"] != ""].pivot(index="image_id", columns="score", values="value")
    mean, low, high = statistics.mean_interval(wide["mse"].to_numpy(), 500, 3)
    assert found.loc["mse", ["value", "low", "high"]].tolist() == [mean, low, high]
    r2 = 1 - wide["mse"].sum() / wide["total"].sum()
    assert found.loc["r2", "value"] == pytest.approx(r2)
    assert found.loc["r2", "low"] < r2 < found.loc["r2", "high"]
    share = (wide["mse_mean"] - wide["mse"]).sum() / (wide["mse_mean"] - wide["mse_optimal"]).sum()
    assert found.loc["share_of_optimal", "value"] == pytest.approx(share)
    assert found.loc["participation_ratio", "value"] == 4.5
    figure = found.loc["participation_ratio", ["low", "high"]].tolist()
    assert figure == pytest.approx([2.5, 97.5])
    assert (found["n"] == 12).all()
    assert "total" not in found.index


def test_r2_of_the_optimum_is_one_for_a_perfect_decoder_and_not_above_zero_for_the_mean():
    rows = latent_rows("gcn")
    rows.loc[rows["score"] == "mse", "value"] = 0.0
    assert by_score(tabulation.latent_table(rows, 50, 0)).loc["r2", "value"] == 1
    total = rows.loc[rows["score"] == "total", "value"].to_numpy()
    rows.loc[rows["score"] == "mse", "value"] = total
    assert by_score(tabulation.latent_table(rows, 50, 0)).loc["r2", "value"] == pytest.approx(0)


def test_training_seeds_are_averaged_and_their_spread_said():
    rows = pd.concat([latent_rows("gcn", seed, shift) for seed, shift in enumerate((0.0, 0.3))])
    found = by_score(tabulation.latent_table(rows, 50, 0))
    single = by_score(tabulation.latent_table(latent_rows("gcn"), 50, 0))
    assert found.loc["mse", "value"] == pytest.approx(single.loc["mse", "value"] + 0.15)
    assert found.loc["mse", "sd_seeds"] == pytest.approx(0.3 / np.sqrt(2))
    assert np.isnan(single.loc["mse", "sd_seeds"])
    assert found.loc["r2", "sd_seeds"] > 0
    figure = found.loc["participation_ratio", ["value", "low", "high"]].tolist()
    assert figure == pytest.approx([4.65, 2.65, 97.65])


def test_a_figure_without_a_value_has_no_interval_and_keeps_its_row():
    rows = latent_rows("gcn")
    rows.loc[rows["image_id"] == "", "value"] = np.nan
    found = by_score(tabulation.latent_table(rows, 50, 0)).loc["participation_ratio"]
    assert found[["value", "low", "high"]].isna().all()


def image_rows(method: str, values: np.ndarray, measure: str = "pcc") -> pd.DataFrame:
    """Values (images, samples)."""
    rows = [
        (f"dog_{i}", sample, "p", measure, value, "", measure, 2, values.shape[1])
        for i, own in enumerate(values)
        for sample, value in enumerate(own)
    ]
    columns = ["image_id", "sample", "protocol", "metric", "value", "reason", "measure", "ways",
               "n_samples"]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(dataset="d", subject="s", method=method, seed=0)


def test_image_values_average_samples_first_and_say_their_spread():
    values = np.array([[0.1, 0.3], [0.5, 0.9], [0.0, 0.0]])
    found = tabulation.image_table(image_rows("best", values), 200, 0).iloc[0]
    assert found["value"] == pytest.approx(0.3)
    assert found["low"] <= 0.3 <= found["high"]
    assert (found["n_images"], found["n_samples"]) == (3, 2)
    assert found["sd_samples"] == pytest.approx(np.std([0.2, 0.4], ddof=1))
    assert np.isnan(found["sd_seeds"])


def test_an_image_with_more_samples_weighs_no_more():
    rows = image_rows("best", np.array([[0.0, 0.0], [1.0, 1.0]]))
    rows = rows[~((rows["image_id"] == "dog_0") & (rows["sample"] == 1))]
    assert tabulation.image_table(rows, 50, 0).iloc[0]["value"] == 0.5


def test_what_was_not_computed_keeps_its_reason():
    rows = image_rows("best", np.array([[np.nan]])).assign(image_id="", sample=-1, reason="no net")
    found = tabulation.image_table(rows, 50, 0).iloc[0]
    assert np.isnan(found["value"])
    assert found["reason"] == "no net"
    assert found["n_images"] == 0


def test_category_only_rows_stand_beside_identification_alone():
    rows = pd.concat(
        [
            image_rows("best", np.random.default_rng(0).random((4, 2)), m)
            for m in ("pcc", "identification")
        ]
    )
    labels = {"dog_0": "a", "dog_1": "a", "dog_2": "b", "dog_3": "c"}
    categories = {"d": {"labels": labels, "source": "a file"}}
    found = tabulation.image_table(rows, 100, 0, categories)
    own = found[found["method"] == "category_only"]
    assert own["metric"].tolist() == ["identification"]
    assert own.iloc[0]["value"] == pytest.approx(1 - 0.5 * 2 / 12)
    assert own.iloc[0]["reason"] == "labels: a file"
    without = tabulation.image_table(rows, 100, 0).query("method == 'category_only'").iloc[0]
    assert np.isnan(without["value"])
    assert without["reason"] == "no category labels"
    del labels["dog_3"]
    some = tabulation.image_table(rows, 100, 0, categories).query("method == 'category_only'")
    assert "dog_3 has no label" in some.iloc[0]["reason"]


def test_rows_that_stand_twice_are_refused():
    rows = image_rows("best", np.ones((2, 1)))
    tabulation.check_rows(rows, [*tabulation.IMAGE_KEYS, "seed", "sample", "image_id"])
    twice = pd.concat([rows, rows])
    with pytest.raises(InputError, match="dog_0"):
        tabulation.check_rows(twice, [*tabulation.IMAGE_KEYS, "seed", "sample", "image_id"])


def test_spread_over_samples_is_of_the_images_that_have_them_all():
    """An image with one sample only is in one sample's mean and not in the other's."""
    values = np.array([[0.1, 0.3], [0.5, 0.9], [7.0, 7.0]])
    rows = image_rows("best", values)
    uneven = rows[(rows["image_id"] != "dog_2") | (rows["sample"] == 0)]
    found = tabulation.image_table(uneven, 200, 0).iloc[0]
    assert found["sd_samples"] == pytest.approx(np.std([0.3, 0.6], ddof=1))
    assert found["n_images"] == 3


def test_paired_differences_between_methods():
    generator = np.random.default_rng(0)
    easy = generator.random((30, 1))
    rows = pd.concat(
        [
            image_rows("best", easy + 0.1 + 0.01 * generator.normal(size=(30, 2))),
            image_rows("linear", easy + 0.01 * generator.normal(size=(30, 2))),
            image_rows("other", easy[:20] + 0.01 * generator.normal(size=(20, 2))),
        ]
    )
    found = comparisons.image_comparisons(rows, ["best", "linear"], 500, 0)
    pairs = found.set_index(["method", "reference"])
    assert list(pairs.index) == [("best", "linear"), ("best", "other"), ("linear", "other")]
    first = pairs.loc[("best", "linear")]
    # The pictures differ far more than the methods: only pairs of the same picture show it.
    assert first["difference"] == pytest.approx(0.1, abs=0.01)
    assert 0.09 < first["low"] < first["high"] < 0.11
    assert first["p"] < 0.001
    assert pairs.loc[("best", "other"), "n_images"] == 20
    assert pairs.loc[("linear", "other"), "p"] > 0.05
    assert found["p_holm"].tolist() == statistics.holm(found["p"]).tolist()


def test_paired_differences_between_decoders():
    rows = pd.concat(
        [latent_rows("cnn", shift=0.2), latent_rows("gcn"), latent_rows("linear", shift=1)]
    )
    found = comparisons.latent_comparisons(rows, 100, 0)
    assert set(found["score"]) == {"mse", "two_way"}
    mse = found[found["score"] == "mse"].set_index(["decoder", "reference"])
    assert mse.loc[("cnn", "gcn"), "difference"] == pytest.approx(0.2)
    assert mse.loc[("gcn", "linear"), "difference"] == pytest.approx(-1)
    assert mse.loc[("gcn", "linear"), "n"] == 12
    train = comparisons.latent_comparisons(rows.assign(split="train"), 100, 0)
    assert train.empty


def test_a_clear_difference_is_significant_in_a_table_of_many_rows():
    """The number of permutations grows with the table: Holm's correction leaves room."""
    generator = np.random.default_rng(0)
    rows = pd.concat(
        [
            image_rows(name, shift + generator.random((40, 1))).assign(metric=f"m{metric}")
            for metric in range(60)
            for name, shift in (("best", 5), ("linear", 0), ("a", 1), ("b", 2), ("c", 3), ("d", 4))
        ]
    )
    found = comparisons.image_comparisons(rows, ["best", "linear"], 20, 0)
    assert len(found) == 60 * 9
    assert found["p_holm"].max() < 0.01


def test_tables_of_nothing_have_their_columns():
    empty = tabulation.read_scores([])
    assert list(tabulation.latent_table(empty, 10, 0)) == tabulation.LATENT_COLUMNS
    assert list(tabulation.image_table(empty, 10, 0)) == tabulation.IMAGE_COLUMNS
    assert "p_holm" in comparisons.latent_comparisons(empty, 10, 0)
    assert comparisons.image_comparisons(empty, ["best"], 10, 0).empty


def test_order_of_rows_does_not_matter():
    rows = image_rows("best", np.random.default_rng(0).random((9, 2)))
    mixed = rows.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(
        tabulation.image_table(rows, 100, 0), tabulation.image_table(mixed, 100, 0)
    )
