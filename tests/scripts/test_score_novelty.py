"""score_novelty: distances to training in latents and, with weights, in AlexNet's features."""

import numpy as np
import pytest
from PIL import Image

from afterimage.metrics import weights
from afterimage.stores import read_table, write_arrays
from workflow_scripts.score_novelty import main


@pytest.fixture
def stores(tmp_path):
    generator = np.random.default_rng(0)
    ids = {"test": np.array(["t0", "t1"]), "train": np.array(["a", "b", "c"])}
    z = generator.normal(size=(3, 4, 4, 4)).astype(np.float32)
    c = generator.normal(size=(3, 15, 4)).astype(np.float32)
    c[:, 0] = 100 * generator.normal(size=4)
    write_arrays(tmp_path / "image_train.zarr", {"z": z, "image_id": ids["train"]})
    write_arrays(tmp_path / "image_test.zarr", {"z": z[[2, 0]], "image_id": ids["test"]})
    write_arrays(tmp_path / "text_train.zarr", {"c": c, "image_id": ids["train"]})
    write_arrays(tmp_path / "text_test.zarr", {"c": c[[1, 1]], "image_id": ids["test"]})
    (tmp_path / "images").mkdir()
    for name in (*ids["train"], *ids["test"]):
        noise = generator.integers(0, 256, size=(70, 70, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "images" / f"{name}.png")
    (tmp_path / "images" / "t1.png").write_bytes((tmp_path / "images" / "b.png").read_bytes())
    return tmp_path


def run(folder, cfg: dict, **more):
    names = ("image_test", "image_train", "text_test", "text_train")
    paths = [str(folder / f"{name}.zarr") for name in names]
    main(*paths, str(folder / "out.parquet"), cfg, **more)
    table = read_table(folder / "out.parquet")
    return table.set_index(["space", "image_id"])


def test_latent_distances(stores):
    found = run(stores, {"features": False})
    assert found.loc[("image_latent", "t0"), "nearest"] == "c"
    assert found.loc[("image_latent", "t1"), "nearest"] == "a"
    assert found.loc["image_latent", "distance"].to_numpy() == pytest.approx([0, 0], abs=1e-5)
    # Without the start token, which is loud and the same for all.
    assert found.loc[("text_latent", "t0"), "nearest"] == "b"
    assert set(found.index.get_level_values("space")) == {"image_latent", "text_latent"}


def test_feature_distances_need_weights_and_say_so(stores, capsys):
    import torch

    from afterimage.metrics.perceptual import AlexNet

    dataset = {"format": "custom", "root": str(stores), "subjects": ["s"], "areas": {}}
    cfg = {"features": True, "dataset": dataset, "seed": 0}
    without = run(stores, cfg)
    assert "alexnet5" not in without.index.get_level_values("space")
    assert "left out" in capsys.readouterr().out
    torch.manual_seed(0)
    tensors = {name: t.numpy() for name, t in AlexNet(classifier=False).state_dict().items()}
    path = stores / "alexnet.safetensors"
    weights.save(path, tensors, {"network": "alexnet", "reason": ""})
    found = run(stores, cfg, weights=str(path), execution={"device": "cpu", "batch_size": 2})
    assert found.loc[("alexnet5", "t1"), "nearest"] == "b"
    assert found.loc[("alexnet5", "t1"), "distance"] == pytest.approx(0, abs=1e-5)
    assert found.loc[("alexnet5", "t0"), "distance"] > 1e-3
