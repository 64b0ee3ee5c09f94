"""tabulate from score files to four tables, without torch, the same bytes every time."""

import numpy as np
import pandas as pd
import pytest

from afterimage.errors import InputError
from afterimage.stores import write_table
from workflow_scripts.tabulate import main

CFG = {
    "n_bootstrap": 200,
    "seed": 0,
    "categories": {"d": {"source": "concept"}},
}


def image_file(path, method: str, shift: float) -> str:
    generator = np.random.default_rng(0)
    rows = [
        {"image_id": f"dog_{i}" if i < 4 else f"cat_{i}", "sample": sample, "protocol": "report",
         "metric": metric, "value": generator.random() + shift, "reason": "", "measure": measure,
         "ways": 2, "n_samples": 2}
        for i in range(6)
        for sample in range(2)
        for metric, measure in (("pcc", "pcc"), ("alexnet2", "identification"))
    ]  # fmt: skip
    table = pd.DataFrame(rows).assign(dataset="d", subject="s", method=method)
    write_table(path, table)
    return str(path)


def latent_file(path, decoder: str, shift: float, split: str = "test") -> str:
    generator = np.random.default_rng(0)
    rows = [
        {"image_id": f"dog_{i}", "score": score, "value": generator.random() + shift}
        for i in range(6)
        for score in ("mse", "mse_mean", "total", "two_way")
    ]
    table = pd.DataFrame(rows).assign(
        dataset="d", subject="s", target="image", decoder=decoder, split=split
    )
    write_table(path, table)
    return str(path)


def trials_file(path) -> dict[tuple[str, str], str]:
    """Two showings of each of three training images, an image left out, and others."""
    images = {"a_1": "train", "a_2": "train", "b_1": "train", "c_1": "validation",
              "dog_0": "test", "dog_9": "excluded"}  # fmt: skip
    rows = list(images.items()) * 2
    write_table(path, pd.DataFrame(rows, columns=["image_id", "split"]))
    return {("d", "s"): str(path)}


def run(folder, prefix: str = "", **more) -> dict[str, pd.DataFrame]:
    latents = [
        latent_file(folder / "l1.parquet", "gcn", 0.0),
        latent_file(folder / "l2.parquet", "linear", 0.5),
        latent_file(folder / "l3.parquet", "gcn", 0.0, "train"),
    ]
    images = [
        image_file(folder / "i1.parquet", "best", 0.2),
        image_file(folder / "i2.parquet", "shuffled", 0.0),
    ]
    names = ("latent_mse", "image_metrics", "latent_comparisons", "comparisons")
    paths = [str(folder / f"{prefix}{name}.csv") for name in names]
    trials = trials_file(folder / "trials.parquet")
    main(latents, images, paths[0], paths[1], {**CFG, **more}, trials, paths[2], paths[3])
    return {name: pd.read_csv(path) for name, path in zip(names, paths, strict=True)}


def test_four_tables(tmp_path):
    tables = run(tmp_path)
    assert list(tables["latent_mse"])[:9] == [
        "dataset", "subject", "target", "decoder", "split", "score", "value", "low", "high"
    ]  # fmt: skip
    scores = tables["latent_mse"].query("decoder == 'gcn' and split == 'test'")["score"]
    assert set(scores) == {"mse", "mse_mean", "two_way", "r2"}
    images = tables["image_metrics"].set_index(["method", "metric"])
    assert images.loc[("best", "pcc"), "n_images"] == 6
    assert images.loc[("best", "pcc"), "low"] < images.loc[("best", "pcc"), "value"]
    # Four dogs and two cats.
    expected = 1 - 0.5 * (4 * 3 + 2 * 1) / (6 * 5)
    assert images.loc[("category_only", "alexnet2"), "value"] == pytest.approx(expected)
    assert "concepts" in images.loc[("category_only", "alexnet2"), "reason"]
    pair = tables["latent_comparisons"].set_index("score").loc["mse"]
    assert (pair["decoder"], pair["reference"]) == ("gcn", "linear")
    assert pair["difference"] == pytest.approx(-0.5)
    pair = tables["comparisons"].set_index("metric").loc["pcc"]
    assert pair["difference"] == pytest.approx(0.2)


def test_every_table_says_how_images_were_split_and_how_many_trained(tmp_path):
    for table in run(tmp_path, schemes={"d": "concept_holdout"}).values():
        assert set(table["split_scheme"]) == {"concept_holdout"}
        assert set(table["n_train"]) == {3}
        assert set(table["n_excluded"]) == {1}


def test_the_same_bytes_every_time(tmp_path):
    run(tmp_path)
    run(tmp_path, "again_")
    for name in ("latent_mse", "image_metrics", "latent_comparisons", "comparisons"):
        first, second = (tmp_path / f"{prefix}{name}.csv" for prefix in ("", "again_"))
        assert first.read_bytes() == second.read_bytes()


def test_without_labels_or_comparisons(tmp_path):
    path = image_file(tmp_path / "i.parquet", "best", 0.0)
    cfg = {"n_bootstrap": 50, "seed": 0}
    main([], [path], str(tmp_path / "l.csv"), str(tmp_path / "i.csv"), cfg, {})
    images = pd.read_csv(tmp_path / "i.csv").set_index("method")
    assert images.loc["category_only", "reason"] == "no category labels"
    assert pd.read_csv(tmp_path / "l.csv").empty


def test_other_systems_methods_are_compared_where_nothing_of_ours_is(tmp_path):
    names = ("oracle", "their_method", "shuffled")
    files = [image_file(tmp_path / f"{k}.parquet", name, k) for k, name in enumerate(names)]
    out = [str(tmp_path / f"{name}.csv") for name in ("l", "i", "lc", "c")]
    main([], files, out[0], out[1], CFG | {"external": ["their_method"]}, {}, out[2], out[3])
    found = pd.read_csv(out[3])
    pairs = set(zip(found["method"], found["reference"], strict=True))
    assert pairs == {("their_method", "oracle"), ("their_method", "shuffled")}


def test_a_method_scored_twice_is_refused(tmp_path):
    path = image_file(tmp_path / "i.parquet", "best", 0.0)
    with pytest.raises(InputError, match="more than once"):
        main([], [path, path], str(tmp_path / "l.csv"), str(tmp_path / "i.csv"), CFG, {})
