"""The forward model: what it sees, where, and how noisily."""

from dataclasses import replace

import numpy as np
import pytest

from afterimage.errors import InputError
from afterimage.simulation.brain import build_brain, flat_features
from afterimage.simulation.features import (
    CHANNELS,
    GRID,
    image_features,
    meaning_features,
    meaning_names,
)
from afterimage.simulation.head import build_head
from afterimage.simulation.scenes import KINDS, Scene, Thing, captions, draw, sample_scene

SIZES = {"V1": 40, "V2": 30, "V3": 24, "V4": 21, "ventral": 40, "MST": 7}


@pytest.fixture(scope="module")
def reference() -> np.ndarray:
    rng = np.random.default_rng(0)
    return flat_features([sample_scene(rng) for _ in range(60)])


@pytest.fixture(scope="module")
def head():
    return build_head(SIZES, np.random.default_rng(1))


def make(kind, head, reference, ncsnr=0.4, share=0.8, seed=2):
    rng = np.random.default_rng(seed)
    return build_brain(kind, head, reference, ncsnr, share, rng, silent=("MST",))


def test_image_features_are_those_of_each_cell_on_its_own():
    picture = draw(sample_scene(np.random.default_rng(5)), 80)
    found = image_features(picture)
    assert found.shape == (len(CHANNELS), GRID, GRID)
    for row, column in ((0, 0), (4, 7), (9, 3)):
        cell = picture[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8].reshape(64, 3) / 255
        light = [0.299 * r + 0.587 * g + 0.114 * b for r, g, b in cell]
        red_green = 2 * sum(r - g for r, g, _ in cell) / 64
        blue_yellow = 2 * sum(b - (r + g) / 2 for r, g, b in cell) / 64
        expected = [
            sum(light) / 64,
            max(red_green, 0),
            max(-red_green, 0),
            max(blue_yellow, 0),
            max(-blue_yellow, 0),
            3 * np.std(light),
        ]
        np.testing.assert_allclose(found[:, row, column], expected, atol=1e-5)


def test_meaning_says_what_the_captions_say():
    rng = np.random.default_rng(3)
    for scene in [sample_scene(rng) for _ in range(50)]:
        flags = meaning_features(scene)
        said = {name for name, flag in zip(meaning_names(), flags, strict=True) if flag}
        text = " ".join(captions(scene, rng, 20))
        for name in said:
            if name.startswith(("first ", "second ")):
                assert name.split()[1] in text
        assert ("two things" in said) == any(w in text for w in ("beside", "next to", "left of"))
        if len(scene.things) == 1:
            assert any(side in text for side in said if side.startswith(("on the ", "in the m")))
        kinds = {word for word in text.split() if word in KINDS}
        assert kinds == {name.split()[1] for name in said if name.split()[1] in KINDS}


def test_regions_are_whole_apart_and_in_both_hemispheres(head):
    taken = np.concatenate(list(head.regions.values()))
    assert len(np.unique(taken, axis=0)) == len(taken) == sum(SIZES.values())
    assert head.cortex[tuple(taken.T)].all()
    for region, voxels in head.regions.items():
        side = head.hemispheres(region)
        assert abs((side == 1).sum() - (side == 2).sum()) <= 1
        middle = (head.brain.shape[0] - 1) / 2
        assert (voxels[side == 1, 0] < middle).all()
        assert (voxels[side == 2, 0] > middle - 1).all()
        for one in (1, 2):
            mine = voxels[side == one]
            nearest = [np.sort(((mine - v) ** 2).sum(1))[1] for v in mine] if len(mine) > 1 else []
            assert max(nearest, default=0) <= 2, f"{region} is scattered"


def test_a_thing_on_the_left_moves_the_right_hemisphere(head, reference):
    brain = make("linear", head, reference)
    empty = Scene("night", 0.5, ())
    left = replace(empty, things=(Thing("ball", "white", 0.2, 0.5, 0.15),))
    right = replace(empty, things=(Thing("ball", "white", 0.8, 0.5, 0.15),))
    nothing, *seen = brain.answers(flat_features([empty, left, right]))
    change = np.abs(np.stack(seen) - nothing) / brain.noise_sd
    small = np.isin(brain.region, ("V1", "V2")) & (brain.gain > 0)
    middle = (head.brain.shape[0] - 1) / 2
    in_left = brain.xyz[:, 0] < middle
    sees_left, sees_right = small & (brain.field[:, 0] < 0.5), small & (brain.field[:, 0] > 0.5)
    assert (in_left == (brain.field[:, 0] > 0.5))[small].all()
    assert change[0, sees_left].mean() > 3 * change[0, sees_right].mean()
    assert change[1, sees_right].mean() > 3 * change[1, sees_left].mean()


def test_neighbours_see_neighbouring_places_and_fields_grow(reference):
    large = build_head({"V1": 160, "V2": 120, "V3": 24, "V4": 20}, np.random.default_rng(0))
    brain = make("linear", large, reference)
    for region in ("V1", "V2"):
        mine = (brain.region == region) & (brain.field[:, 0] > 0.5)
        apart = np.linalg.norm(brain.xyz[mine, None] - brain.xyz[mine], axis=2)
        seen = np.linalg.norm(brain.field[mine, None, :2] - brain.field[mine, :2], axis=2)
        pairs = np.triu_indices(mine.sum(), 1)
        assert seen[pairs][apart[pairs] <= 1.5].mean() < 0.7 * seen[pairs].mean()
    sizes = [brain.field[brain.region == region, 2].mean() for region in large.regions]
    assert (np.diff(sizes) > 0).all()


@pytest.mark.parametrize("kind", ["linear", "nonlinear"])
def test_repeats_show_the_signal_to_noise_that_was_asked_for(kind, reference):
    sizes = {"V1": 150, "ventral": 150, "MST": 60}
    head = build_head(sizes, np.random.default_rng(0))
    brain = make(kind, head, reference, ncsnr=0.4)
    rng = np.random.default_rng(7)
    trials = np.stack([brain.trials(reference, rng) for _ in range(12)])
    noise = trials.var(0, ddof=1).mean(0)
    signal = np.maximum(trials.mean(0).var(0) - noise / 12, 0)
    measured = np.sqrt(signal / noise)
    has_signal = brain.gain > 0
    assert 0.3 < np.median(measured[has_signal]) < 0.5
    asked = brain.answers(reference).std(0) / brain.noise_sd
    assert np.median(asked[has_signal]) == pytest.approx(0.4, rel=1e-3)
    assert np.median(measured[~has_signal]) < 0.1
    np.testing.assert_allclose(noise, brain.noise_sd**2, rtol=0.3)
    assert not has_signal[brain.region == "MST"].any()
    assert 0.7 < has_signal[brain.region != "MST"].mean() < 0.9


def test_the_linear_brain_is_linear_and_the_other_is_not(head, reference):
    mixed = (reference[:20] + reference[20:40]) / 2
    for kind, expected in (("linear", True), ("nonlinear", False)):
        brain = make(kind, head, reference)
        between = (brain.answers(reference[:20]) + brain.answers(reference[20:40])) / 2
        for early in (True, False):
            mine = (np.isnan(brain.field[:, 0]) != early) & (brain.gain > 0)
            off = np.abs(brain.answers(mixed) - between)[:, mine] / brain.noise_sd[mine]
            assert (off.max() < 1e-4) == expected


def test_the_nonlinear_brain_compresses(head, reference):
    brain = make("nonlinear", head, reference)
    early = np.isin(brain.region, ("V1", "V4")) & (brain.gain > 0)
    once, twice, four_times = (
        (
            (brain.answers(k * reference[:1]) - brain.baseline) / np.where(early, brain.gain, 1)
            + brain.centre
        )[0, early]
        for k in (1, 2, 4)
    )
    np.testing.assert_allclose(twice / once, 2 ** brain.exponent[early], rtol=1e-3)
    assert (four_times / twice < 2).all()


def test_the_same_seed_gives_the_same_brain_and_another_one_does_not(head, reference):
    first, again, other = (make("linear", head, reference, seed=s) for s in (2, 2, 3))
    assert np.array_equal(first.weights, again.weights)
    assert np.array_equal(first.noise_sd, again.noise_sd)
    assert not np.array_equal(first.weights, other.weights)


def test_unknown_kinds_and_regions_are_named(head, reference):
    with pytest.raises(InputError, match="linear or nonlinear"):
        make("quadratic", head, reference)
    with pytest.raises(InputError, match="V9"):
        build_head({"V9": 3}, np.random.default_rng(0))
