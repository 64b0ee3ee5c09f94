"""The learning curve: nested subsets, and a share that grows towards one."""

import numpy as np

from afterimage.decoders.interface import Execution
from afterimage.decoders.learning_curve import first_trials, learning_curve
from tests.unit.decoder_samples import LATENT, brain, entry


def test_subsets_are_nested_and_by_image():
    train, _, _ = brain(60)
    small, large = first_trials(train, 10), first_trials(train, 31)
    assert (len(small.x), len(large.x)) == (10, 31)
    assert set(small.image) == set(range(5))
    assert set(small.image) < set(large.image) == set(range(16))


def test_the_share_grows_and_has_known_ends():
    train, validation, test = brain(400)
    optimal = test.y * 0.9 + train.mean_target() * 0.1
    rows = list(
        learning_curve(
            {"linear": entry("linear")},
            train,
            validation,
            test,
            optimal,
            LATENT,
            [20, 400],
            Execution(),
        )
    )
    few, many = (row["share_of_optimal"] for row in rows)
    assert [row["n_trials"] for row in rows] == [20, 400]
    assert few < many < 1.01
    row = rows[1]
    assert np.isclose(many, (row["mse_mean"] - row["mse"]) / (row["mse_mean"] - row["mse_optimal"]))
    assert np.isclose(row["mse_optimal"] / row["mse_mean"], 0.01)
