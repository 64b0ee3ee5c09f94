"""What each method hands to the generator."""

import numpy as np
import pytest

from afterimage import methods


@pytest.mark.parametrize("n", [2, 3, 24, 982])
def test_a_derangement_moves_everything_and_loses_nothing(n):
    order = methods.derangement(n, seed=3)
    assert sorted(order) == list(range(n))
    assert not np.any(order == np.arange(n))


def test_a_derangement_is_drawn_from_its_seed():
    assert methods.derangement(50, 1).tolist() == methods.derangement(50, 1).tolist()
    assert methods.derangement(50, 1).tolist() != methods.derangement(50, 2).tolist()


def test_every_image_is_equally_likely_to_get_each_other_images_prediction():
    counts = np.zeros((4, 4))
    for seed in range(3000):
        counts[np.arange(4), methods.derangement(4, seed)] += 1
    others = counts[~np.eye(4, dtype=bool)] / 3000
    np.testing.assert_allclose(others, 1 / 3, atol=0.04)


def test_composed_latents():
    latents = np.arange(12, dtype=np.float32).reshape(3, 4)
    ids = ["a", "b", "c"]
    np.testing.assert_array_equal(methods.compose("best", latents, ids, 0), latents)
    shuffled = methods.compose("shuffled", latents, ids, 0)
    assert sorted(map(tuple, shuffled)) == sorted(map(tuple, latents))
    assert not np.any(np.all(shuffled == latents, axis=1))
    mean = methods.compose("mean", latents, ["x", "y"], 0)
    np.testing.assert_array_equal(mean, np.tile(latents.mean(0), (2, 1)))


def test_one_image_cannot_be_shuffled():
    with pytest.raises(ValueError, match="two images"):
        methods.derangement(1, 0)


def test_variants():
    assert {m: methods.variant(m) for m in ("best", "image_only", "text_only")} == {
        "best": "both", "image_only": "image_only", "text_only": "text_only",
    }  # fmt: skip


def test_the_first_seed_has_the_plain_name():
    assert methods.with_seeds("cnn", 1) == ["cnn"]
    assert methods.with_seeds("cnn", 3) == ["cnn", "cnn/seed1", "cnn/seed2"]
    assert [methods.split_seed(name) for name in methods.with_seeds("best", 2)] == [
        ("best", 0),
        ("best", 1),
    ]
    assert methods.labels("decoder", "cnn/seed12") == {"decoder": "cnn", "seed": 12}
    assert methods.labels("decoder", "cnn") == {"decoder": "cnn"}
