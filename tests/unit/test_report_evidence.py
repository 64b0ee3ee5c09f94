"""What the page says in words, checked against numbers worked out by hand."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from afterimage.report import answers
from afterimage.report.brain import read_brains, read_weights
from afterimage.report.ceiling import what_would_perfect_show
from afterimage.report.comparisons import read_comparisons
from afterimage.report.directions import Directions, directions_of
from afterimage.report.drawing import COLOURS, INK, new_figure, save_figure, style
from afterimage.report.failing import gallery_link, which_fail
from afterimage.report.gallery import Gallery
from afterimage.report.inputs import place_all
from afterimage.report.novelty import novelty_blocks, read_novelty
from afterimage.report.proof import read_proof
from afterimage.report.retrieval import is_it_retrieval
from afterimage.stores import write_arrays

SHIPPED = Directions(directions_of(["report", "brain-diffuser"]))
GALLERY = Gallery(("d", "s"), ["1", "2", "3", "4"], ["best", "shuffled"], [], [], 8)


NO_DISTANCES = pd.DataFrame(columns=["dataset", "subject", "image_id", "space", "distance"])
LOWER = {"better": "lower", "chance": None}


def own_protocol(folder) -> str:
    """A protocol of a user's own, whose names say nothing of what is measured."""
    path = folder / "mine.yaml"
    path.write_text(
        "summary: s\nsource: s\nseen: [{resize: 224}]\nreconstruction: [{resize: 224}]\nmetrics:\n"
        "  fifty: {measure: identification, network: alexnet, layer: features.4, ways: 50}\n"
        "  clip_distance: {measure: distance, network: clip_vit_l14, layer: embedding}\n"
        "  similar: {measure: lpips, network: alexnet}\n"
    )
    return str(path)


def test_directions_and_chance_are_those_of_the_protocols(tmp_path):
    own = Directions(directions_of(["report", "takagi", own_protocol(tmp_path)]))
    assert own.chance(("mine", "fifty")) == 0.02
    assert own.chance(("takagi", "alexnet_pool2")) == 0.5
    assert [own.chance(("mine", name)) for name in ("clip_distance", "similar")] == [None, None]
    assert [own.better(("mine", name)) for name in ("fifty", "clip_distance", "similar")] == [
        "higher",
        "lower",
        "lower",
    ]
    assert own.arrow(("report", "efficientnet_v2_s")) == "↓"
    # of what no protocol of the run measures nothing is guessed
    assert (own.better(("x", "clip")), own.chance(("x", "clip")), own.arrow(("x", "clip"))) == (
        "",
        None,
        "",
    )


def test_failing_images_follow_the_protocols_direction(tmp_path):
    own = Directions(directions_of([own_protocol(tmp_path)]))
    table = scores("similar", [0.1, 0.2, 0.9, 0.5], [0.5] * 4).assign(protocol="mine")
    ((label, failing),) = which_fail(table, [GALLERY], own).examples
    assert label == "d, s, 2 of 4 fail"
    assert [image for image, _ in failing] == ["3", "4"]


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
    said = which_fail(table, [GALLERY], SHIPPED)
    assert said.lines[0].startswith("On 2 of 4 test images the best decoder's LPIPS (AlexNet)")
    ((failing, first),) = said.examples
    assert failing == "d, s, 2 of 4 fail"
    assert first == [("3", "#/d/s/3"), ("4", "#/d/s/4")]
    # and for a metric where higher is better, the other way round
    table = scores("pcc", [0.9, 0.8, 0.1, 0.7], [0.2, 0.2, 0.3, 0.2])
    said = which_fail(table, [GALLERY], SHIPPED)
    assert said.lines[0].startswith("On 1 of 4 test images")


def test_every_image_that_fails_can_be_found_in_each_subjects_gallery():
    n = 60
    table = scores("pcc", list(np.linspace(0, 0.5, n)), [0.9] * n)
    both = pd.concat([table, table.assign(subject="t")])
    ids = [str(i + 1) for i in range(n)]
    galleries = [Gallery(("d", s), ids, ["best", "shuffled"], [], [], n) for s in ("s", "t")]
    said = which_fail(both, galleries, SHIPPED)
    assert said.lines[0].startswith("On 120 of 120 test images")
    assert [label for label, _ in said.examples] == [
        "d, s, 60 of 60 fail, of which 8",
        "d, t, 60 of 60 fail, of which 8",
    ]
    assert [link for _, link in said.links] == [
        f"#/d/{s}?sort=gain:report:pcc&of=best&order=worst" for s in ("s", "t")
    ]


def test_near_and_far_halves_are_those_of_the_distance():
    table = scores("pcc", [0.9, 0.7, 0.3, 0.1], [0.0] * 4)
    columns = {"dataset": "d", "subject": "s", "image_id": ["4", "3", "2", "1"]}
    novelty = pd.DataFrame({**columns, "space": "image_latent", "distance": [4.0, 3.0, 2.0, 1.0]})
    said = is_it_retrieval(table, novelty, None, [GALLERY], SHIPPED, {}, 2000)
    (shown,) = said.tables
    assert "Pixel correlation ↑" in shown.caption
    (row,) = shown.groups[0].rows
    assert row.name == "image latent"
    assert [cell.value for cell in row.cells] == ["0.800", "0.200", "0.600", "−1.00"]
    # Of two images drawn twice, the mean is that of one of them with probability 1/4 each.
    assert [(cell.low, cell.high) for cell in row.cells[:3]] == [
        ("0.700", "0.900"),
        ("0.100", "0.300"),
        ("0.400", "0.800"),
    ]
    assert said.lines[0].startswith("In 1 of 1 rows the best decoder scores better near")
    # turned round where lower is better: the same numbers are then worse near to training
    lower = is_it_retrieval(
        table.assign(metric="lpips_alex"), novelty, None, [GALLERY], SHIPPED, {}, 2000
    )
    assert lower.tables[0].groups[0].rows[0].cells[2].text == "−0.600 [−0.800, −0.400]"
    assert "In none of 1 rows" in lower.lines[0]
    assert "in 1 it is better far from it" in lower.lines[0]


def test_a_difference_that_may_be_chance_is_no_leaning_on_training():
    table = scores("pcc", [0.9, 0.1, 0.8, 0.1], [0.0] * 4)
    columns = {"dataset": "d", "subject": "s", "image_id": ["1", "2", "3", "4"]}
    novelty = pd.DataFrame({**columns, "space": "image_latent", "distance": [1.0, 2.0, 3.0, 4.0]})
    said = is_it_retrieval(table, novelty, None, [GALLERY], SHIPPED, {}, 2000)
    assert said.tables[0].groups[0].rows[0].cells[2].text == "0.050 [−0.700, 0.800]"
    assert said.lines[0].startswith("In none of 1 rows")
    assert "better far" not in said.lines[0]


def test_retrieval_is_ruled_out_by_intervals_alone():
    columns = "dataset subject target decoder split score value low high".split()
    score = ["image", "linear", "test", "novelty_identification"]
    for low, verdict, clear in ((0.1, "No:", 1), (0.0, "Cannot be told:", 0)):
        latents = pd.DataFrame([["d", "s", *score, 0.25, low, 0.4]], columns=columns)
        said = is_it_retrieval(scores("pcc", [1.0], [0.0]), NO_DISTANCES, latents, [], SHIPPED, {})
        assert said.lines[0].startswith(verdict)
        assert f"for {clear} of 1 the 95 % interval is above 0" in said.lines[0]
        assert texts(said.tables[0].groups[0].rows[0]) == [f"0.25 [{low:.2f}, 0.40]"]


def test_distances_that_differ_by_rounding_alone_order_nothing(tmp_path):
    path = tmp_path / "d" / "s" / "scores" / "novelty.parquet"
    path.parent.mkdir(parents=True)
    distance = [1.2e-7, -2.4e-7, 0.0, 3.6e-7]
    table = {"image_id": ["1", "2", "3", "4"], "space": "text_latent", "distance": distance}
    pd.DataFrame(table).to_parquet(path)
    novelty = read_novelty(place_all([path], tmp_path))
    assert novelty["distance"].tolist() == [0.0] * 4
    table = scores("pcc", [0.9, 0.7, 0.3, 0.1], [0.0] * 4)
    said = is_it_retrieval(table, novelty, None, [GALLERY], SHIPPED, {})
    assert said.lines == ["d, s, text latent: all test images are 0.000 from training."]
    assert said.tables == []
    with style():
        assert novelty_blocks(table, novelty, [("report", "pcc")], SHIPPED, {}, tmp_path) == []


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
    compared = read_comparisons(pd.DataFrame(pairs, columns=columns), SHIPPED)
    # LPIPS belongs to no such protocol here
    assert compared["gain"].tolist() == [0.42, -0.1]
    known = Directions({**directions_of(["brain-diffuser"]), "brain-diffuser:lpips_alex": LOWER})
    compared = read_comparisons(pd.DataFrame(pairs, columns=columns), known)
    said = answers.is_it_chance(images, compared, known, {"d": True})
    assert said.lines[0].startswith("Not clearly: for 0 of 1 subject the best decoder is better")
    assert said.lines[1].startswith("Yes, for 1 of 1 subject the best decoder is above chance")
    (row,) = said.tables[0].groups[0].rows
    assert texts(row) == ["0.930 [0.900, 0.960]", "0.5", "0.420 [0.300, 0.500]", "1 of 2"]
    assert row.simulated
    # without the metric that is not won it is a yes, and with chance in the interval it is not
    won = compared[compared["score"] == "alexnet5"]
    said = answers.is_it_chance(images, won, known, {})
    assert [line[:3] for line in said.lines] == ["Yes", "Yes"]
    said = answers.is_it_chance(images.assign(low=0.49), won, known, {})
    assert [line[:3] for line in said.lines] == ["Yes", "Not"]


def test_without_a_shuffled_control_nothing_is_said_of_it():
    columns = "dataset subject method protocol metric value low high".split()
    rows = [("d", "s", "best", "brain-diffuser", "alexnet5", 0.93, 0.9, 0.96)]
    images = pd.DataFrame(rows, columns=columns)
    said = answers.is_it_chance(images, None, SHIPPED, {})
    assert said.lines[0] == "Nothing was compared with the shuffled control."
    assert said.lines[1].startswith("Yes, for 1 of 1 subject the best decoder is above chance")
    assert texts(said.tables[0].groups[0].rows[0])[2:] == ["–", "–"]


def test_without_identification_nothing_is_said_of_chance():
    columns = "dataset subject method protocol metric value low high".split()
    images = pd.DataFrame([("d", "s", "best", "report", "pcc", 0.9, 0.8, 1.0)], columns=columns)
    columns = "dataset subject protocol metric method reference difference low high".split()
    pairs = [["d", "s", "report", "pcc", "best", "shuffled", 0.4, 0.3, 0.5]]
    compared = read_comparisons(pd.DataFrame(pairs, columns=columns), SHIPPED)
    said = answers.is_it_chance(images, compared, SHIPPED, {})
    assert said.lines[0].startswith("Yes, for 1 of 1 subject the best decoder is better than")
    assert said.lines[1] == "Identification was not computed for the best decoder."


def test_chance_among_many_is_that_of_the_protocol(tmp_path):
    own = Directions(directions_of([own_protocol(tmp_path)]))
    columns = "dataset subject method protocol metric value low high".split()
    # far above 1/50 and far below a half: two-way's chance would say no
    images = pd.DataFrame([("d", "s", "best", "mine", "fifty", 0.2, 0.1, 0.3)], columns=columns)
    said = answers.is_it_chance(images, None, own, {})
    assert said.lines[1].startswith("Yes, for 1 of 1 subject")
    assert texts(said.tables[0].groups[0].rows[0])[:2] == ["0.200 [0.100, 0.300]", "0.02"]
    # a distance whose name begins like a network's is no identification
    images = images.assign(metric="clip_distance")
    assert answers.is_it_chance(images, None, own, {}).lines[0].startswith(answers.MISSING)


def test_the_ceiling_is_that_of_the_headline_protocol():
    columns = "dataset subject method protocol metric value low high".split()
    rows = [
        ("d", "s", method, protocol, "pcc", value + shift, value - 0.1, value + 0.1)
        for protocol, shift in (("brain-diffuser", 0.0), ("report", 0.01))
        for method, value in (("oracle", 0.9), ("best", 0.6))
    ]
    images = pd.DataFrame(rows, columns=columns)
    said = what_would_perfect_show(images, None, None, [], SHIPPED, {})
    (shown,) = said.tables
    assert said.lines[1] == "The oracle and the best decoder were not compared image by image."
    assert [(column.above, column.name) for column in shown.columns[:2]] == [
        ("Pixel correlation", "oracle"),
        ("Pixel correlation", "best decoder"),
    ]
    assert texts(shown.groups[0].rows[0])[:2] == ["0.910 [0.800, 1.000]", "0.610 [0.500, 0.700]"]


def ceiling(*methods: str) -> pd.DataFrame:
    columns = "dataset subject method protocol metric value low high".split()
    return pd.DataFrame(
        [("d", "s", m, "report", "pcc", *[0.5] * 3) for m in methods], columns=columns
    )


def test_whether_the_decoder_is_below_the_oracle_is_said_by_the_paired_interval():
    columns = "dataset subject protocol metric method reference difference low high".split()
    for high, below in ((-0.1, 1), (0.1, 0)):
        pairs = [["d", "s", "report", "pcc", "best", "oracle", -0.3, -0.5, high]]
        compared = read_comparisons(pd.DataFrame(pairs, columns=columns), SHIPPED)
        said = what_would_perfect_show(
            ceiling("oracle", "best"), None, compared, [GALLERY], SHIPPED, {}
        )
        assert said.lines[1].startswith(f"On {below} of 1 metrics")


def test_without_an_oracle_nothing_is_said_of_it():
    columns = "dataset subject target decoder split score value".split()
    rows = [["d", "s", "image", "linear", "test", "share_of_optimal", 0.8]]
    latents = pd.DataFrame(rows, columns=columns)
    said = what_would_perfect_show(ceiling("best"), latents, None, [GALLERY], SHIPPED, {})
    assert said.lines[0] == f"{answers.MISSING} the oracle was not among the methods."
    assert said.lines[1].startswith("For simulated brains the best linear decoder")
    assert len(said.lines) == 2
    assert said.links == [("Scores of the decoders", "#decoders")]
    # and without simulated brains nothing of theirs
    said = what_would_perfect_show(ceiling("best"), None, None, [GALLERY], SHIPPED, {})
    assert len(said.lines) == 1


def test_an_oracle_without_a_best_decoder_is_shown_alone():
    said = what_would_perfect_show(ceiling("oracle", "linear"), None, None, [], SHIPPED, {})
    assert said.lines[0].startswith("What the oracle shows:")
    assert said.lines[1].startswith("The best decoder was not among the methods")
    assert texts(said.tables[0].groups[0].rows[0]) == ["0.500 [0.500, 0.500]", "–"]


def test_every_decoder_is_named_and_none_is_picked_by_its_test_score():
    columns = "dataset subject target decoder split score value".split()
    whose = ["d", "s", "image"]
    rows = [
        [*whose, "linear", "test", "share_of_optimal", 0.8],
        [*whose, "cnn", "test", "share_of_optimal", 0.9],
        [*whose, "cnn", "validation", "share_of_optimal", 0.7],
    ]
    table = pd.DataFrame(rows, columns=columns)
    (shown,) = what_would_perfect_show(None, table, None, [], SHIPPED, {}).tables
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
    table = scores("pcc", [1.0], [0.0])
    said = is_it_retrieval(table, novelty, latents, [], SHIPPED, {})
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
    assert gallery_link(GALLERY, "a/b c") == "#/d/s/a%2Fb%20c"


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
