"""The learning curve: nested parts, known ends, and a simulated study that can be decoded."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from afterimage.decoders.interface import Execution
from benchmarks import simulated_study
from benchmarks.learning_curve import (
    comparisons,
    draw,
    first_trials,
    learning_curve,
    markdown,
    summarise,
    yardstick,
)
from benchmarks.simulated_study import REPEATS, Study, simulate
from tests.unit.decoder_samples import LATENT, brain, entry


@pytest.fixture(scope="module")
def study():
    train, validation, test = brain(400)
    best = test.y * 0.9 + train.mean_target() * 0.1
    return Study(train, validation, test, LATENT, None, best, best)


@pytest.fixture(scope="module")
def table(study):
    rows = list(learning_curve({"linear": entry("linear")}, study, [20, 400], Execution()))
    return summarise(rows, study, study.best_linear, 0).assign(target="image")


def test_parts_are_nested_and_by_image():
    train, _, _ = brain(60)
    small, large = first_trials(train, 10), first_trials(train, 31)
    assert (len(small.x), len(large.x)) == (10, 31)
    assert set(small.image) == set(range(5))
    assert set(small.image) < set(large.image) == set(range(16))


def test_the_share_grows_and_has_known_ends(table):
    few, many = table["share_of_optimal"]
    assert table["n_trials"].tolist() == [20, 400]
    assert few < many < 1.01
    assert (
        (table["low"] < table["share_of_optimal"]) & (table["share_of_optimal"] < table["high"])
    ).all()
    np.testing.assert_allclose(table["mse_optimal"] / table["mse_mean"], 0.01, rtol=1e-4)
    row = table.iloc[1]
    share = (row["mse_mean"] - row["mse"]) / (row["mse_mean"] - row["mse_optimal"])
    assert many == pytest.approx(share)


def test_a_paired_difference_is_ridge_less_the_decoder(study):
    errors = np.linspace(1, 2, len(study.test.x))
    rows = [
        {"decoder": name, "n_trials": 9, "errors": value}
        for name, value in (("cnn", errors), ("linear", errors + 0.5))
    ]
    table = summarise(rows, study, study.best_linear, 0).set_index("decoder")
    expected = 0.5 / table["mse_mean"].iloc[0]
    # The same for every image: the paired interval has no width, whatever the errors' spread.
    assert table.loc["cnn", ["gain_low", "gain", "gain_high"]].tolist() == pytest.approx(
        [expected] * 3
    )
    assert table.loc["linear", ["gain_low", "gain_high"]].tolist() == [0, 0]


def test_the_yardstick_is_chosen_by_validation(study):
    poor = {**entry("linear"), "alpha_exponents": [6, 7]}
    good = entry("linear")
    shapes = study.train.y.shape[1]
    chosen = yardstick({"poor": poor, "good": good}, study, Execution())
    alone = yardstick({"good": good}, study, Execution())
    assert chosen.shape == (len(study.test.x), shapes)
    np.testing.assert_array_equal(chosen, alone)


def test_figure_and_tables_hold_every_size(table):
    text = markdown(table)
    assert "| target | decoder | 20 | 400 |" in text
    assert f"{table['share_of_optimal'].iloc[1]:.3f}" in text
    assert comparisons(table).count("\n") == 1
    network = table.assign(decoder="cnn", gain=0.03, gain_low=-0.01, gain_high=0.042)
    cell = "+3.0 [-1.0, +4.2]"
    assert comparisons(network).splitlines()[2] == f"| image | cnn | {cell} | {cell} |"
    both = pd.concat([table.assign(target=target) for target in ("image", "text")])
    axes = draw(both, "linear").axes
    assert [axis.get_title() for axis in axes] == [
        "image latents, linear simulated brain",
        "text latents, linear simulated brain",
    ]


@pytest.fixture(scope="module")
def simulated():
    config = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())
    config["diffusion"]["image_size"] = 40
    settings = config["datasets"]["demo-nsd"]["simulate"]
    settings |= {"voxels": {"V1": 30, "V2": 20, "V3": 10, "V4": 10, "ventral": 40}, "ncsnr": 3.0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulated_study, "HELD_OUT", {"validation": 5, "test": 40})
        return simulate(config, "linear", 60, 120)


def test_a_simulated_study_has_the_demos_shapes(simulated):
    image, text = simulated["image"], simulated["text"]
    assert (image.train.x.shape, text.train.x.shape) == ((60 * REPEATS, 70), (60 * REPEATS, 40))
    assert (image.latent, text.latent) == ((4, 5, 5), (14, 64))
    assert text.graph is None
    assert image.graph is not None
    assert np.bincount(image.graph.node_of_voxel).tolist() == [30, 20, 20]
    np.testing.assert_allclose(image.train.x.std(axis=0), 1, atol=1e-3)
    assert len(image.test.x) == len(image.test.y) == 40


@pytest.mark.parametrize("target", ["image", "text"])
def test_responses_belong_to_their_latents(simulated, target):
    """The best linear decoder beats the mean on the test samples, and not on others' latents."""
    study = simulated[target]

    def error(truth: np.ndarray) -> float:
        return float(((study.best_linear - truth) ** 2).mean())

    of_mean = ((study.train.mean_target() - study.test.y) ** 2).mean()
    assert error(study.test.y) < 0.9 * of_mean < error(np.roll(study.test.y, 1, axis=0))
    rows = learning_curve({"linear": entry("linear")}, study, [len(study.train.x)], Execution())
    assert next(iter(rows))["errors"].mean() < 0.95 * of_mean


def test_samples_are_of_distinct_pictures(simulated):
    study = simulated["image"]
    pictures = np.concatenate([study.train.y, study.validation.y, study.test.y])
    assert len(np.unique(pictures, axis=0)) == len(pictures)
