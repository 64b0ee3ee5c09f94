"""predict_latents' main on small files."""

import numpy as np
import pytest

from afterimage import stores
from afterimage.decoders import files
from afterimage.decoders.interface import Execution
from afterimage.errors import InputError
from tests.scripts.test_train_decoder import CPU, train, write_study
from tests.unit.decoder_samples import entry
from workflow_scripts import predict_latents

SPLITS = ("train", "validation", "test")


def predict(folder, target, **more):
    arguments = {"decoder": folder / "model", "target": target, "execution": CPU}
    for split in SPLITS:
        arguments[f"responses_{split}"] = folder / f"x.{split}.zarr"
        arguments[f"out_{split}"] = folder / f"predicted.{split}.zarr"
    predict_latents.main(**{**arguments, **more})
    return {split: stores.read_arrays(folder / f"predicted.{split}.zarr") for split in SPLITS}


@pytest.mark.parametrize("kind", ["linear", "gcn"])
@pytest.mark.parametrize("target", ["image", "text"])
def test_a_row_per_image_in_the_latents_shape(tmp_path, target, kind):
    write_study(tmp_path)
    described = train(tmp_path, target, entry(kind) | ({} if kind == "linear" else {"epochs": 8}))
    predicted = predict(tmp_path, target)
    name, letter = ("z", "z") if target == "image" else ("c", "c")
    for split in SPLITS:
        truth = stores.read_arrays(tmp_path / f"{letter}.{split}.zarr")
        found = predicted[split]
        assert found["image_id"].tolist() == sorted(truth["image_id"])
        assert found[name].dtype == np.float32
        order = stores.positions(found["image_id"], truth["image_id"], "test")
        assert found[name].shape == truth[name].shape
        learned = slice(0, None) if target == "image" else slice(1, None)
        error = ((found[name] - truth[name][order])[:, learned] ** 2).mean()
        assert error < 0.6 * truth[name][:, learned].var(axis=0).mean()
        if split == "validation":
            assert error == pytest.approx(described["validation_error"], rel=1e-5)
        if target == "text":
            assert (found[name][:, 0] == np.arange(6)).all()


def test_training_images_are_predicted_from_their_mean_response(tmp_path):
    write_study(tmp_path)
    train(tmp_path, "image", entry("cnn", epochs=1))
    predicted = predict(tmp_path, "image")["train"]
    responses = stores.read_arrays(tmp_path / "x.train.zarr")
    model, _ = files.load(tmp_path / "model")
    for image in (0, 17, 39):
        rows = responses["image_id"] == predicted["image_id"][image]
        assert rows.sum() == 2
        mean = responses["x"][rows].mean(axis=0, keepdims=True)
        expected = model.predict(mean, Execution()).reshape(2, 3, 4)
        np.testing.assert_allclose(predicted["z"][image], expected, atol=1e-5)


def test_responses_of_another_brain_are_an_error(tmp_path):
    write_study(tmp_path)
    train(tmp_path, "image", entry("linear"))
    arrays = stores.read_arrays(tmp_path / "x.test.zarr")
    stores.write_arrays(tmp_path / "other.zarr", {**arrays, "x": arrays["x"][:, :7]})
    with pytest.raises(InputError, match=r"40 voxels.*found 7"):
        predict(tmp_path, "image", responses_test=tmp_path / "other.zarr")


@pytest.mark.parametrize("kind", ["linear", "gcn"])
def test_poisoned_test_responses_change_no_other_prediction(tmp_path, kind):
    write_study(tmp_path)
    train(tmp_path, "image", entry(kind) | ({} if kind == "linear" else {"epochs": 1}))
    before = predict(tmp_path, "image")
    responses = stores.read_arrays(tmp_path / "x.test.zarr")
    stores.write_arrays(tmp_path / "x.test.zarr", {**responses, "x": 1e3 - responses["x"]})
    after = predict(tmp_path, "image")
    for split in ("train", "validation"):
        for name in ("z", "image_id"):
            assert before[split][name].tobytes() == after[split][name].tobytes()
    assert not np.array_equal(before["test"]["z"], after["test"]["z"])
