"""What a method hands to the generator, from files to files."""

import numpy as np
import pytest

from afterimage import stores
from afterimage.errors import InputError
from workflow_scripts.compose_method import main

IDS = ["3", "10", "7"]


def latents(path, name, seed, ids=IDS):
    rng = np.random.default_rng(seed)
    shape = (len(ids), 4, 2, 2) if name == "z" else (len(ids), 3, 5)
    values = rng.standard_normal(shape).astype(np.float32)
    stores.write_arrays(path, {name: values, "image_id": np.array(ids)})
    return dict(zip(ids, values, strict=True))


def composed(folder, method, sources, selected=None):
    stores.write_arrays(folder / "test.zarr", {"image_id": np.array(IDS)})
    out = {"image": str(folder / "z.zarr"), "text": str(folder / "c.zarr")}
    main(sources, str(folder / "test.zarr"), selected, out, method, seed=0)
    z, c = stores.read_arrays(out["image"]), stores.read_arrays(out["text"])
    assert z["image_id"].tolist() == c["image_id"].tolist() == sorted(IDS)
    return (
        dict(zip(z["image_id"].tolist(), z["z"], strict=True)),
        dict(zip(c["image_id"].tolist(), c["c"], strict=True)),
    )


def test_best_follows_the_selection_and_joins_by_id(tmp_path):
    paths = {name: str(tmp_path / f"{name}.zarr") for name in ("cnn", "gcn", "text")}
    latents(paths["cnn"], "z", 1)
    chosen = latents(paths["gcn"], "z", 2, IDS[::-1])
    text = latents(paths["text"], "c", 3)
    stores.write_json(tmp_path / "selected.json", {"image": "gcn", "text": "cnn"})
    sources = {
        "image": {"cnn": paths["cnn"], "gcn": paths["gcn"]},
        "text": {"cnn": paths["text"]},
    }
    z, c = composed(tmp_path, "best", sources, str(tmp_path / "selected.json"))
    for image_id in IDS:
        np.testing.assert_array_equal(z[image_id], chosen[image_id])
        np.testing.assert_array_equal(c[image_id], text[image_id])


def test_shuffled_gives_image_and_text_of_the_same_other_image(tmp_path):
    image = latents(tmp_path / "i.zarr", "z", 1)
    text = latents(tmp_path / "t.zarr", "c", 2)
    sources = {"image": {"a": str(tmp_path / "i.zarr")}, "text": {"a": str(tmp_path / "t.zarr")}}
    z, c = composed(tmp_path, "shuffled", sources)
    for image_id in IDS:
        from_image = [i for i in IDS if np.array_equal(z[image_id], image[i])]
        from_text = [i for i in IDS if np.array_equal(c[image_id], text[i])]
        assert from_image == from_text
        assert from_image != [image_id]


def test_mean_is_of_the_training_latents(tmp_path):
    train = latents(tmp_path / "i.zarr", "z", 1, ["a", "b", "c", "d"])
    latents(tmp_path / "t.zarr", "c", 2, ["a", "b", "c", "d"])
    sources = {"image": {"x": str(tmp_path / "i.zarr")}, "text": {"x": str(tmp_path / "t.zarr")}}
    z, _ = composed(tmp_path, "mean", sources)
    for image_id in IDS:
        np.testing.assert_allclose(z[image_id], np.mean(list(train.values()), 0), atol=1e-6)


def test_a_test_image_without_a_prediction_is_named(tmp_path):
    latents(tmp_path / "i.zarr", "z", 1, ["3", "10"])
    latents(tmp_path / "t.zarr", "c", 2)
    sources = {"image": {"a": str(tmp_path / "i.zarr")}, "text": {"a": str(tmp_path / "t.zarr")}}
    with pytest.raises(InputError, match="1 missing, first 7"):
        composed(tmp_path, "linear", sources)
