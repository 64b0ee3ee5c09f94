"""The page's tables: numbers as text, rows in order, gaps with their reasons."""

import pandas as pd
import pytest

from afterimage.errors import InputError
from afterimage.report.build import without_empty_columns
from afterimage.report.comparisons import read_comparisons
from afterimage.report.directions import Directions, directions_of
from afterimage.report.inputs import natural, place
from afterimage.report.tables import (
    headline_columns,
    image_columns,
    image_table,
    latent_table,
    markdown,
    number,
)
from afterimage.report.words import method_order

SHIPPED = Directions(directions_of(["report", "brain-diffuser"]))
IMAGE_COLUMNS = ["dataset", "subject", "method", "protocol", "metric", "value", "low", "high"]


def images(rows: list[tuple], reasons: list[str] | None = None) -> pd.DataFrame:
    table = pd.DataFrame([("d", "s", *row) for row in rows], columns=IMAGE_COLUMNS)
    return table.assign(n_images=24, n_samples=2, reason=reasons or [""] * len(rows))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.41249, "0.412"), (-0.5, "−0.500"), (-0.0001, "0.000"), (float("nan"), ""), (None, "")],
)
def test_numbers_have_fixed_digits_and_a_true_minus(value, text):
    assert number(value) == text


def test_methods_stand_in_blocks_ours_then_foreign_then_controls():
    order = method_order({"shuffled", "mindeye", "linear", "oracle", "best"})
    assert order == ["best", "linear", "mindeye", "oracle", "shuffled"]


def test_a_cell_holds_its_own_row_whatever_the_order_of_rows():
    table = images(
        [
            ("linear", "report", "pcc", 0.2, 0.1, 0.3),
            ("best", "report", "lpips_alex", 0.4, 0.35, 0.45),
            ("best", "report", "pcc", 0.6, 0.5, 0.7),
            ("linear", "report", "lpips_alex", 0.5, 0.45, 0.55),
        ]
    )
    columns = image_columns(table)
    shown = image_table(table, {"d": True}, columns, "k", SHIPPED).groups[0]
    assert shown.simulated
    assert [row.name for row in shown.rows] == ["Best decoder", "Linear"]
    assert columns == [("report", "pcc"), ("report", "lpips_alex")]
    assert [cell.text for cell in shown.rows[0].cells] == [
        "0.600 [0.500, 0.700]",
        "0.400 [0.350, 0.450]",
    ]


def test_a_missing_value_says_why():
    table = images(
        [("best", "report", "pcc", 0.6, 0.5, 0.7), ("best", "report", "swav", None, None, None)],
        ["", "no weights of swav"],
    )
    shown = image_table(table, {}, image_columns(table), "k", SHIPPED)
    assert shown.groups[0].rows[0].cells[1].text == "not computed"
    assert shown.notes == ["Not computed, SwAV: no weights of swav"]


def test_a_column_without_any_number_goes_and_its_reason_stays():
    table = images(
        [("best", "report", "pcc", 0.6, 0.5, 0.7), ("best", "report", "swav", None, None, None)],
        ["", "no weights of swav"],
    )
    shown = without_empty_columns(image_table(table, {}, image_columns(table), "k", SHIPPED))
    assert [column.name for column in shown.columns] == ["Pixel correlation"]
    assert [cell.text for cell in shown.groups[0].rows[0].cells] == ["0.600 [0.500, 0.700]"]
    assert shown.notes == ["Not computed, SwAV: no weights of swav"]


def test_a_value_missing_for_one_method_alone_names_the_method():
    table = images(
        [("best", "x", "alexnet5", 0.9, 0.8, 1), ("category_only", "x", "alexnet5", *[None] * 3)],
        ["", "no category labels"],
    )
    shown = image_table(table, {}, image_columns(table), "k", SHIPPED)
    expected = "Not computed for Category only, AlexNet(5) two-way: no category labels"
    assert shown.notes == [expected]


def test_another_systems_method_says_so_and_on_how_many_images():
    table = images([("best", "x", "pcc", 0.9, 0.8, 1), ("theirs", "x", "pcc", 0.9, 0.8, 1)])
    table.loc[1, "n_images"] = 12
    rows = image_table(table, {}, image_columns(table), "k", SHIPPED).groups[0].rows
    assert [row.name for row in rows] == ["Best decoder", "theirs (other system), 12 images"]
    assert rows[1].hint == "pictures that another system made"


def test_headline_takes_what_is_there():
    rows = [("best", "report", "pcc", 1, 1, 1), ("best", "mindeye", "clip", 1, 1, 1)]
    assert headline_columns(images(rows)) == [("report", "pcc")]
    assert headline_columns(images(rows[1:])) == [("mindeye", "clip")]


def test_markdown_marks_simulated_data_and_aligns_every_row():
    table = images([("best", "report", "pcc", 0.6, 0.5, 0.7)])
    text = markdown(image_table(table, {"d": True}, image_columns(table), "k", SHIPPED))
    assert "SIMULATED DATA" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {3}


def test_latent_table_shows_intervals_of_test_scores_only():
    columns = "dataset subject target decoder split score value low high n".split()
    rows = [
        ("d", "s", "text", "cnn", "test", "mse", 0.30, 0.28, 0.32, 9),
        ("d", "s", "text", "cnn", "test", "mse_14", 0.30, 0.28, 0.32, 9),
        ("d", "s", "text", "cnn", "validation", "mse", 0.25, 0.2, 0.3, 9),
        ("d", "s", "text", "cnn", "test", "mse_mean", 1.0, 0.9, 1.1, 9),
    ]
    shown = latent_table(pd.DataFrame(rows, columns=columns), {}, "text")
    assert [column.name for column in shown.columns] == ["MSE, 14 tokens", "MSE"]
    assert [cell.text for cell in shown.groups[0].rows[0].cells] == [
        "0.300 [0.280, 0.320]",
        "0.250",
    ]
    assert shown.groups[0].rows[1].cells[0].text == "1.000 [0.900, 1.100]"


def test_comparisons_are_turned_so_that_a_gain_is_positive():
    columns = "dataset subject protocol metric method reference difference low high p_holm".split()
    rows = [
        ("d", "s", "report", "pcc", "shuffled", "best", -0.5, -0.6, -0.4, 0.01),
        ("d", "s", "report", "lpips_alex", "shuffled", "best", 0.3, 0.2, 0.4, 0.01),
        ("d", "s", "report", "pcc", "best", "linear", 0.1, -0.1, 0.3, 0.5),
    ]
    turned = read_comparisons(pd.DataFrame(rows, columns=columns), SHIPPED)
    assert list(turned["first"]) == ["best", "best", "best"]
    assert list(turned["second"]) == ["shuffled", "shuffled", "linear"]
    assert turned["gain"].tolist() == pytest.approx([0.5, 0.3, 0.1])
    assert turned["gain_low"].tolist() == pytest.approx([0.4, 0.2, -0.1])
    assert turned["gain_high"].tolist() == pytest.approx([0.6, 0.4, 0.3])


def test_the_headers_of_a_users_own_protocol_say_what_it_measures():
    rows = [("best", "mine", name, 0.6, 0.5, 0.7) for name in ("clip_distance", "clip_50way")]
    own = Directions(
        {
            "mine:clip_distance": {"better": "lower", "chance": None},
            "mine:clip_50way": {"better": "higher", "chance": 0.02},
        }
    )
    table = images(rows)
    head = image_table(table, {}, [("mine", row[2]) for row in rows], "k", own).columns
    assert [(column.arrow, column.hint) for column in head] == [
        ("↓", ""),
        ("↑", "share of correct choices; chance is 0.02"),
    ]


def test_ids_that_are_numbers_are_ordered_as_numbers():
    assert sorted(["10", "9", "dog_02s", "100"], key=natural) == ["9", "10", "100", "dog_02s"]


def test_a_file_elsewhere_is_refused(tmp_path):
    with pytest.raises(InputError, match="another place"):
        place(tmp_path / "scores.parquet", tmp_path / "results")
