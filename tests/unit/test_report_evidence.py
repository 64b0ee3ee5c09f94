"""What the page says in words, checked against numbers worked out by hand."""

import re

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from afterimage.report import answers
from afterimage.report.brain import read_brains, read_weights
from afterimage.report.drawing import COLOURS, INK, new_figure, save_figure, style
from afterimage.report.gallery import Gallery
from afterimage.report.inputs import place_all
from afterimage.stores import write_arrays

GALLERY = Gallery(("d", "s"), ["1", "2", "3", "4"], ["best", "shuffled"], [], [], 8)


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
    assert said.lines[0].startswith("d, s: on 2 of 4 images")
    assert said.examples[0] == ("3", "#/d/s/3")
    assert "sort=report:lpips_alex" in said.link
    # and for a metric where higher is better, the other way round
    said = answers.which_fail(scores("pcc", [0.9, 0.8, 0.1, 0.7], [0.2, 0.2, 0.3, 0.2]), [GALLERY])
    assert said.lines[0].startswith("d, s: on 1 of 4 images")


def test_near_and_far_halves_are_those_of_the_distance():
    table = scores("pcc", [0.9, 0.7, 0.3, 0.1], [0.0] * 4)
    columns = {"dataset": "d", "subject": "s", "image_id": ["4", "3", "2", "1"]}
    novelty = pd.DataFrame({**columns, "space": "image_latent", "distance": [4.0, 3.0, 2.0, 1.0]})
    (line,) = answers.is_it_retrieval(table, novelty, None, [GALLERY]).lines
    assert "0.800 on the half of the test images nearest" in line
    assert "0.200 on the far half" in line
    assert "rank correlation −1.00" in line


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
