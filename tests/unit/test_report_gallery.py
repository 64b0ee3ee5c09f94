"""The gallery's files: strips that hold what they say, shards that a browser can read."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from afterimage.report.directions import Directions, directions_of
from afterimage.report.gallery import Gallery, write_gallery
from afterimage.report.glance import choose_images
from afterimage.report.inputs import Pictures
from afterimage.report.pictures import THUMB, file_name, write_strip

COLOURS = [(250, 20, 20), (20, 250, 20), (20, 20, 250)]
SUBJECT = ("d", "s")


class Seen:
    def image(self, image_id):
        return np.full((90, 120, 3), 200, np.uint8)

    def captions(self, image_id):
        return [f"</script> a caption of {image_id}"]


def made(tmp_path, ids, samples=2):
    files = {}
    for image_id in ids:
        files[image_id] = []
        for sample in range(samples):
            path = tmp_path / "made" / f"{file_name(image_id)}_{sample}.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", (64, 64), COLOURS[sample]).save(path)
            files[image_id].append(path)
    return Pictures(SUBJECT, "best", files, 64)


def scores(ids):
    rows = [("best", i, s, "report", "pcc", 0.1 * s + n) for n, i in enumerate(ids) for s in (1, 0)]
    columns = ["method", "image_id", "sample", "protocol", "metric", "value"]
    return pd.DataFrame(rows, columns=columns)


def shard(path):
    text = path.read_text(encoding="utf-8")
    name, rest = text.removeprefix("receive(").removesuffix(");\n").split(",", 1)
    key, value = rest.split(",", 1)
    return json.loads(name), json.loads(key), json.loads(value)


NOVELTY = pd.DataFrame({"image_id": ["7"], "space": ["latent"], "distance": [0.123456]})


def write(tmp_path, ids, **options) -> Gallery:
    pictures = [made(tmp_path, ids)]
    return write_gallery(
        tmp_path / "report", SUBJECT, pictures, scores(ids), NOVELTY, Seen(), **options
    )


def test_a_strip_holds_its_samples_in_order_and_the_large_ones_too(tmp_path):
    pictures = [np.full((50, 50, 3), colour, np.uint8) for colour in COLOURS]
    large = [tmp_path / f"{i}.jpg" for i in range(3)]
    write_strip(pictures, tmp_path / "strip.webp", large)
    strip = np.asarray(Image.open(tmp_path / "strip.webp").convert("RGB")).astype(int)
    assert strip.shape == (THUMB, 3 * THUMB, 3)
    for index, colour in enumerate(COLOURS):
        middle = strip[THUMB // 2, index * THUMB + THUMB // 2]
        assert np.abs(middle - colour).max() < 16
        single = np.asarray(Image.open(large[index]))[256, 256].astype(int)
        assert np.abs(single - colour).max() < 16


def test_a_picture_that_is_not_square_keeps_its_proportions(tmp_path):
    write_strip([np.full((60, 120, 3), 255, np.uint8)], tmp_path / "s.webp", [])
    strip = np.asarray(Image.open(tmp_path / "s.webp").convert("L")).astype(int)
    assert strip[THUMB // 2, 5] > 240
    assert abs(strip[5, THUMB // 2] - 128) < 12


def test_file_names_are_safe_and_never_the_same(tmp_path):
    names = ["2950", "dog_12s", "a/b", "a_b", "a b", "..", "ünï"]
    safe = [file_name(name) for name in names]
    assert len(set(safe)) == len(names)
    assert safe[:2] == names[:2]
    assert all((tmp_path / name).parent == tmp_path and not name.startswith(".") for name in safe)


def test_shards_hold_every_image_and_sample_by_id(tmp_path):
    gallery = write(tmp_path, ["10", "7"])
    assert gallery.image_ids == ["7", "10"]
    kind, key, images = shard(tmp_path / "report/data/d/s/images.js")
    assert (kind, key, images["ids"]) == ("images", "d/s", ["7", "10"])
    assert images["distance"] == {"latent": [0.1235, None]}
    assert images["captions"][1] == ["</script> a caption of 10"]
    _, _, best = shard(tmp_path / "report/data/d/s/best.js")
    assert best["counts"] == [2, 2]
    # scores() gives image "10" the numbers 0 and 0.1, image "7" 1 and 1.1, samples backwards
    assert best["scores"] == {"report:pcc": [[1.0, 1.1], [0.0, 0.1]]}
    assert best["links"] is None
    assert (tmp_path / "report/pictures/d/s/best/10_1.jpg").exists()
    assert (tmp_path / "report/thumbs/d/s/_seen/7.webp").exists()


def test_large_runs_link_to_the_results_instead_of_copying(tmp_path, monkeypatch):
    monkeypatch.setattr("afterimage.report.gallery.COPY_LIMIT", 3)
    write(tmp_path, ["10", "7"])
    _, _, best = shard(tmp_path / "report/data/d/s/best.js")
    assert best["links"] == [
        ["../made/7_0.png", "../made/7_1.png"],
        ["../made/10_0.png", "../made/10_1.png"],
    ]
    assert not (tmp_path / "report/pictures/d/s/best").exists()
    assert (tmp_path / "report/pictures/d/s/_seen/7_0.jpg").exists()


def test_pictures_do_not_depend_on_the_number_of_threads(tmp_path):
    found = []
    for threads in (1, 3):
        folder = tmp_path / str(threads)
        folder.mkdir()
        write(folder, ["10", "7"], threads=threads)
        strips = sorted((folder / "report").rglob("*.webp"))
        found.append({path.relative_to(folder): path.read_bytes() for path in strips})
    assert found[0] == found[1]
    assert len(found[0]) == 4


@pytest.mark.parametrize("n", [1, 3, 8])
def test_the_grid_goes_from_the_best_image_to_the_worst(n):
    ids = [str(i) for i in range(20)]
    table = pd.DataFrame(
        {
            "method": "best",
            "image_id": ids,
            "protocol": "report",
            "metric": "lpips_alex",
            "value": np.linspace(1, 0, 20),
        }
    )
    known = Directions(directions_of(["report"]))
    chosen = choose_images(table, ids, known, n)
    assert len(chosen) == n
    assert chosen[0] == "19"  # the lowest LPIPS
    if n > 1:
        assert chosen[-1] == "0"
    assert choose_images(table.iloc[:0], ids, known, 4)[0] == "0"
