"""score_latents joins by id, writes every image and never needs torch."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from afterimage.errors import InputError
from afterimage.stores import read_table, write_arrays
from workflow_scripts.score_latents import main

ROOT = Path(__file__).parents[2]
IDENTITY = {"dataset": "d", "subject": "s", "decoder": "gcn", "split": "test", "target": "text"}
CFG = {"n_bootstrap": 150, "seed": 4}


@pytest.fixture
def stores(tmp_path):
    generator = np.random.default_rng(0)
    ids = np.array([f"dog_{k}" for k in range(10)])
    true = generator.normal(size=(10, 15, 6)).astype(np.float32)
    train = generator.normal(size=(20, 15, 6)).astype(np.float32)
    order = generator.permutation(10)
    predicted = (0.5 * true)[order]
    write_arrays(tmp_path / "true.zarr", {"c": true, "image_id": ids})
    train_ids = np.array([f"cat_{k}" for k in range(20)])
    write_arrays(tmp_path / "train.zarr", {"c": train, "image_id": train_ids})
    write_arrays(tmp_path / "predicted.zarr", {"c": predicted, "image_id": ids[order]})
    return tmp_path, true, train, ids


def run(folder, out: str, identity=IDENTITY, **more) -> None:
    names = ("predicted", "true", "train")
    main(
        *(str(folder / f"{name}.zarr") for name in names),
        str(folder / out),
        "text",
        identity,
        CFG,
        **more,
    )


def test_rows_are_joined_by_id_and_carry_who_they_are(stores):
    folder, true, train, ids = stores
    run(folder, "out.parquet", optimal=str(folder / "true.zarr"))
    table = read_table(folder / "out.parquet")
    assert (table["decoder"] == "gcn").all()
    assert (table["target"] == "text").all()
    mse = table[table["score"] == "mse"].set_index("image_id")["value"]
    expected = (0.25 * true[:, 1:].astype(float) ** 2).mean(axis=(1, 2))
    assert mse[ids].to_numpy() == pytest.approx(expected)
    mean = table[table["score"] == "mse_mean"].set_index("image_id")["value"]
    expected = ((true - train.mean(axis=0))[:, 1:] ** 2).mean(axis=(1, 2))
    assert mean[ids].to_numpy() == pytest.approx(expected, rel=1e-5)
    assert (table.loc[table["score"] == "mse_optimal", "value"] == 0).all()
    assert (table.loc[table["score"] == "novelty_identification", "value"] == 1).all()
    of_set = table[table["image_id"] == ""].set_index("score")["value"]
    assert of_set["variance_ratio"] == pytest.approx(0.25, rel=1e-5)
    assert "r_ceiling" not in of_set
    draws = table[table["image_id"] == ""].set_index("score")["draws"]
    assert draws["variance_ratio"] == pytest.approx(np.full(150, 0.25), rel=1e-5)
    assert table.loc[table["image_id"] != "", "draws"].isna().all()


def test_halves_give_a_ceiling(stores):
    folder, true, _, ids = stores
    noise = np.random.default_rng(1).normal(size=true.shape).astype(np.float32)
    kept = [0, 5, 7, 8]
    for path, values, order in (("one", true + noise, kept), ("other", true, kept[::-1])):
        arrays = {"c": values[order], "image_id": ids[order]}
        write_arrays(folder / f"{path}.zarr", arrays, {"lengthening": 3.0})
    run(folder, "out.parquet", halves=[str(folder / "one.zarr"), str(folder / "other.zarr")])
    found = read_table(folder / "out.parquet").set_index("score").loc["r_ceiling", "value"]
    columns = [a[kept, 1:].reshape(4, -1).T for a in (true + noise, true)]
    each = np.array([np.cov(a, b) for a, b in zip(*columns, strict=True)]).sum(axis=0)
    r = each[0, 1] / np.sqrt(each[0, 0] * each[1, 1])
    assert found == pytest.approx(np.sqrt(3 * r / (1 + 2 * r)), rel=1e-4)


def test_training_split_has_neither_novelty_nor_collapse(stores):
    folder, *_ = stores
    run(folder, "out.parquet", identity={**IDENTITY, "split": "train"})
    table = read_table(folder / "out.parquet")
    assert set(table["score"]) == {"mse", "mse_14", "mse_15", "mse_mean", "total", "two_way"}
    assert (table["image_id"] != "").all()


def test_a_lost_or_repeated_prediction_is_an_error(stores):
    folder, true, _, ids = stores
    write_arrays(folder / "predicted.zarr", {"c": true[:9], "image_id": ids[:9]})
    with pytest.raises(InputError, match="dog_9"):
        run(folder, "out.parquet")
    repeated = np.array([*ids[:9], ids[0]])
    write_arrays(folder / "predicted.zarr", {"c": true, "image_id": repeated})
    with pytest.raises(InputError, match="more than once"):
        run(folder, "out.parquet")
    assert not (folder / "out.parquet").exists()


def test_it_does_not_import_torch(stores):
    folder, *_ = stores
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from workflow_scripts.score_latents import main
folder = {str(folder)!r}
main(*(f"{{folder}}/{{n}}.zarr" for n in ("predicted", "true", "train")), f"{{folder}}/o.parquet",
     "text", {IDENTITY!r}, {CFG!r})
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
