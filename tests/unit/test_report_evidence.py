"""What the page says in words, checked against numbers worked out by hand."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from afterimage.report import answers, limits
from afterimage.report.brain import read_brains, read_weights
from afterimage.report.comparisons import read_comparisons
from afterimage.report.drawing import COLOURS, INK, new_figure, save_figure, style
from afterimage.report.gallery import Gallery
from afterimage.report.inputs import place_all
from afterimage.report.novelty import novelty_blocks, read_novelty
from afterimage.report.proof import read_proof
from afterimage.stores import write_arrays

GALLERY = Gallery(("d", "s"), ["1", "2", "3", "4"], ["best", "shuffled"], [], [], 8)


def texts(row) -> list[str]:
    return [cell.text for cell in row.cells]


def scores(metric: str, best: list[float], shuffled: list[float]) -> pd.DataFrame:
    rows = [
        ("d", "s", method, str(i + 1), sample, "report", metric, value)
        for method, values in (("best", best), ("shuffled", shuffled))
        for i, value in enumerate(values)
        for sample in (0, 1)
    ]
    columns = ["dataset", "subject", "method", "image_id", "sample", "protocol", "metric", "value"]
    return pd.DataFrame(rows, columns=columns)


def test_images_that_fail_are_counted_in_the_better_direction():
    # LPIPS: lower is better, so images 3 and 4 (a tie) fail, and 3 is the worst
    table = scores("lpips_alex", [0.1, 0.2, 0.9, 0.5], [0.5, 0.5, 0.6, 0.5])
    said = answers.which_fail(table, [GALLERY])
    assert said.lines[0].startswith("On 2 of 4 test images the best decoder's LPIPS (AlexNet)")
    (failing, first), (worst, second) = said.examples
    assert (failing, worst) == ("d, s (2 of 4), failing", "d, s (2 of 4), worst")
    assert first == [("3", "#/d/s/3"), ("4", "#/d/s/4")]
    assert [image for image, _ in second] == ["3", "4", "2", "1"]
    assert "sort=report:lpips_alex" in said.link
    # and for a metric where higher is better, the other way round
    said = answers.which_fail(scores("pcc", [0.9, 0.8, 0.1, 0.7], [0.2, 0.2, 0.3, 0.2]), [GALLERY])
    assert said.lines[0].startswith("On 1 of 4 test images")


def test_near_and_far_halves_are_those_of_the_distance():
    table = scores("pcc", [0.9, 0.7, 0.3, 0.1], [0.0] * 4)
    columns = {"dataset": "d", "subject": "s", "image_id": ["4", "3", "2", "1"]}
    novelty = pd.DataFrame({**columns, "space": "image_latent", "distance": [4.0, 3.0, 2.0, 1.0]})
    (shown,) = limits.is_it_retrieval(table, novelty, None, [GALLERY], {}).tables
    assert "Pixel correlation ↑" in shown.caption
    (row,) = shown.groups[0].rows
    assert (row.name, *texts(row)) == ("image latent", "0.800", "0.200", "−1.00")


def test_distances_that_differ_by_rounding_alone_order_nothing(tmp_path):
    path = tmp_path / "d" / "s" / "scores" / "novelty.parquet"
    path.parent.mkdir(parents=True)
    distance = [1.2e-7, -2.4e-7, 0.0, 3.6e-7]
    table = {"image_id": ["1", "2", "3", "4"], "space": "text_latent", "distance": distance}
    pd.DataFrame(table).to_parquet(path)
    novelty = read_novelty(place_all([path], tmp_path))
    assert novelty["distance"].tolist() == [0.0] * 4
    table = scores("pcc", [0.9, 0.7, 0.3, 0.1], [0.0] * 4)
    said = limits.is_it_retrieval(table, novelty, None, [GALLERY], {})
    assert said.lines == ["d, s, text latent: all test images are 0.000 from training."]
    assert said.tables == []
    with style():
        assert novelty_blocks(table, novelty, [("report", "pcc")], {}, tmp_path) == []


def test_the_gain_over_the_shuffled_control_is_the_paired_one():
    columns = "dataset subject method protocol metric value low high".split()
    images = pd.DataFrame(
        [("d", "s", "best", "brain-diffuser", "alexnet5", 0.93, 0.9, 0.96)], columns=columns
    )
    columns = "dataset subject protocol metric method reference difference low high".split()
    whose = ["d", "s", "brain-diffuser"]
    pairs = [[*whose, "alexnet5", "best", "shuffled", 0.42, 0.3, 0.5]]
    # LPIPS: lower is better; this interval holds zero, so this metric is not won
    pairs += [[*whose, "lpips_alex", "best", "shuffled", -0.1, -0.2, 0.01]]
    compared = read_comparisons(pd.DataFrame(pairs, columns=columns))
    said = answers.is_it_chance(images, compared, {"d": True})
    assert said.lines[0].startswith("Not clearly: for 0 of 1 subject ")
    (row,) = said.tables[0].groups[0].rows
    assert texts(row) == ["0.930 [0.900, 0.960]", "0.420 [0.300, 0.500]", "1 of 2"]
    assert row.simulated
    # without the metric that is not won it is a yes, and with chance in the interval it is not
    won = compared[compared["score"] == "alexnet5"]
    assert answers.is_it_chance(images, won, {}).lines[0].startswith("Yes, for 1 of 1 subject ")
    at_chance = images.assign(low=0.49)
    assert answers.is_it_chance(at_chance, won, {}).lines[0].startswith("Not clearly")


def test_the_ceiling_is_that_of_the_headline_protocol():
    columns = "dataset subject method protocol metric value".split()
    rows = [
        ("d", "s", method, protocol, "pcc", value + shift)
        for protocol, shift in (("brain-diffuser", 0.0), ("report", 0.01))
        for method, value in (("oracle", 0.9), ("best", 0.6))
    ]
    images = pd.DataFrame(rows, columns=columns)
    (shown,) = limits.what_would_perfect_show(images, None, [], {}).tables
    assert [(column.above, column.name) for column in shown.columns[:2]] == [
        ("Pixel correlation", "oracle"),
        ("Pixel correlation", "best decoder"),
    ]
    assert texts(shown.groups[0].rows[0])[:2] == ["0.910", "0.610"]


def test_every_decoder_is_named_and_none_is_picked_by_its_test_score():
    columns = "dataset subject target decoder split score value".split()
    whose = ["d", "s", "image"]
    rows = [
        [*whose, "linear", "test", "share_of_optimal", 0.8],
        [*whose, "cnn", "test", "share_of_optimal", 0.9],
        [*whose, "cnn", "validation", "share_of_optimal", 0.7],
    ]
    table = pd.DataFrame(rows, columns=columns)
    (shown,) = limits.what_would_perfect_show(None, table, [], {}).tables
    assert [column.name for column in shown.columns] == ["Linear", "CNN"]
    assert texts(shown.groups[0].rows[0]) == ["0.80", "0.90"]


def test_where_test_targets_are_training_targets_nothing_is_said_of_retrieval():
    columns = "dataset subject target decoder split score value".split()
    score = ["linear", "test", "novelty_identification"]
    rows = [["d", "s", "text", *score, 0.0], ["d", "s", "image", *score, 0.25]]
    latents = pd.DataFrame(rows, columns=columns)
    novelty = pd.DataFrame(
        [("d", "s", "1", "text_latent", 0.0), ("d", "s", "1", "image_latent", 0.2)],
        columns=["dataset", "subject", "image_id", "space", "distance"],
    )
    said = limits.is_it_retrieval(scores("pcc", [1.0], [0.0]), novelty, latents, [], {})
    (shown,) = said.tables
    assert [column.above for column in shown.columns] == ["image"]
    assert shown.notes[0].startswith("d, s, text: every test target is a training target too")
    assert "do so for 25 % of" in said.lines[0]


def test_what_other_systems_made_is_named_in_the_answer_about_leaks(tmp_path):
    proof = {"holds": True, "jobs": 3, "files": 4, "methods": [], "mixed_readers": {}}
    proof["training"] = {"training_jobs": 1, "selection_jobs": 1, "violations": []}
    path = tmp_path / "leak_proof.json"
    for names, said in (([], 2), (["their_method"], 3)):
        path.write_text(json.dumps({**proof, "elsewhere": names}))
        lines = answers.was_test_used(read_proof(str(path), {})).lines
        assert len(lines) == said
    assert lines[-1] == "Nothing is proved of what other systems made: their method (other system)."


def test_links_escape_ids_that_are_not_plain():
    assert answers.gallery_link(GALLERY, "a/b c") == "#/d/s/a%2Fb%20c"


def test_weights_are_read_per_voxel_of_the_right_area(tmp_path):
    folder = tmp_path / "d" / "s"
    for area, count in (("lower", 3), ("higher", 2)):
        write_arrays(
            folder / "responses" / area / "train.zarr",
            {
                "x": np.zeros((2, count), np.float32),
                "image_id": np.array(["1", "1"]),
                "voxel_roi": np.array(["V1"] * count),
            },
        )
    made = folder / "decoders" / "text-linear"
    made.mkdir(parents=True)
    (made / "model.json").write_text("{}")
    coefficients = np.array([[3, 4], [0, 0]], np.float32)
    save_file({"coefficients": coefficients}, made / "model.safetensors")
    files = [folder / "responses" / area / "train.zarr" for area in ("lower", "higher")]
    brains = read_brains(place_all(files, tmp_path), [])
    read_weights(brains, place_all([made / "model.json"], tmp_path), {})
    brain = brains["d", "s"]
    assert brain.areas["lower"].n_images == 1
    assert list(brain.weights) == ["higher"]
    assert brain.weights["higher"] == pytest.approx([12.5**0.5, 0])


def test_a_figure_takes_the_pages_colour_and_shares_no_id(tmp_path):
    pages = []
    for name in ("one", "two"):
        with style():
            figure, axes = new_figure(2, 1)
            axes[0, 0].plot([0, 1], color=COLOURS["blue"])
            axes[0, 0].set_title("title")
            pages.append(save_figure(figure, name, tmp_path))
    ids = [set(re.findall(r'id="([^"]+)"', page)) for page in pages]
    assert ids[0]
    assert not ids[0] & ids[1]
    for page in pages:
        assert "currentColor" in page
        assert INK not in page
        assert ">title</text>" in page
        assert all(
            f'id="{target}"' in page for target in re.findall(r'(?:url\(|href=")#([^")]+)', page)
        )
    paper = (tmp_path / "one.svg").read_text()
    assert 'fill="white"' in paper
    assert INK in paper
    assert (tmp_path / "one.png").stat().st_size > 500
