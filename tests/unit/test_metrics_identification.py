"""Identification against the published lines written out, against draws, and at its extremes."""

import numpy as np
import pytest

from afterimage.metrics import identification


def features(seed: int, n: int = 30, d: int = 50) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def published(seen: np.ndarray, reconstructed: np.ndarray, axis: int) -> float:
    """The line that Brain-Diffuser and MindEye share (axis 0), or its transpose (axis 1)."""
    n = len(seen)
    r = np.corrcoef(seen, reconstructed)[:n, n:]
    true = np.diag(r)[None, :] if axis == 0 else np.diag(r)[:, None]
    return float((r < true).sum(axis=axis).mean() / (n - 1))


@pytest.mark.parametrize(("distractors", "axis"), [("real", 0), ("generated", 1)])
def test_two_way_is_the_published_one_in_each_direction(distractors, axis):
    seen = features(0)
    reconstructed = 0.25 * seen + features(1)
    similarity = identification.correlations(seen, reconstructed)
    found = identification.two_way(similarity, distractors)
    assert found.mean() == pytest.approx(published(seen, reconstructed, axis))
    assert 0.6 < found.mean() < 1


def test_directions_differ():
    seen = features(0)
    # One reconstruction is unlike everything, the others are alike: the directions must disagree.
    reconstructed = 0.2 * seen + features(1, n=1)
    similarity = identification.correlations(seen, reconstructed)
    by_real = identification.two_way(similarity, "real")
    by_generated = identification.two_way(similarity, "generated")
    assert not np.allclose(by_real, by_generated)


def test_a_constant_reconstruction_scores_half_with_real_distractors_and_nothing_with_generated():
    similarity = identification.correlations(features(0), np.tile(features(1, n=1), (30, 1)))
    assert identification.two_way(similarity, "real").mean() == pytest.approx(0.5)
    assert (identification.two_way(similarity, "generated") == 0).all()


def test_rounding_in_a_constant_reconstruction_identifies_nothing():
    seen = features(0, n=40, d=5000)
    constant = np.tile(features(1, n=1, d=5000), (40, 1))
    # The same numbers summed in another order, as another batch or device would.
    rows = identification.unit_rows(constant)
    similarity = np.stack(
        [[float(np.sum((s * r)[:: 1 if j % 2 else -1])) for j, r in enumerate(rows)]
         for s in identification.unit_rows(seen)]
    ).astype(np.float32)  # fmt: skip
    assert identification.two_way(similarity, "generated").max() == 0


def test_perfect_inverted_and_independent_reconstructions():
    seen = features(0)
    perfect = identification.correlations(seen, seen)
    inverted = identification.correlations(seen, -seen)
    for distractors in ("real", "generated"):
        assert (identification.two_way(perfect, distractors) == 1).all()
        assert (identification.two_way(inverted, distractors) == 0).all()
        unrelated = identification.correlations(features(0, n=400), features(1, n=400))
        assert identification.two_way(unrelated, distractors).mean() == pytest.approx(0.5, abs=0.05)


def test_flat_features_correlate_with_nothing():
    flat = np.full((3, 20), 7.3, dtype=np.float32)
    assert (identification.unit_rows(flat) == 0).all()
    assert (identification.correlations(features(0, n=3, d=20), flat) == 0).all()


def test_nan_features_are_never_identified():
    seen, reconstructed = features(0), features(0)
    reconstructed[4] = np.nan
    found = identification.two_way(identification.correlations(seen, reconstructed), "real")
    assert found[4] == 0
    assert (np.delete(found, 4) == 1).all()


def test_one_image_cannot_be_identified():
    assert np.isnan(identification.two_way(np.ones((1, 1)), "real")).all()
    assert np.isnan(identification.n_way(np.ones((1, 1)), "real", 2)).all()
    assert np.isnan(identification.n_way(np.eye(5), "real", 6)).all()


def test_the_order_of_images_does_not_matter():
    seen, reconstructed = features(0), 0.2 * features(0) + features(1)
    order = np.random.default_rng(5).permutation(30)
    found = identification.two_way(identification.correlations(seen, reconstructed), "real")
    mixed = identification.correlations(seen[order], reconstructed[order])
    assert np.allclose(identification.two_way(mixed, "real"), found[order])


@pytest.mark.parametrize("ways", [2, 5, 12])
def test_n_way_is_what_drawing_distractors_gives(ways):
    seen = features(0, n=12)
    similarity = identification.correlations(seen, 0.3 * seen + features(1, n=12))
    exact = identification.n_way(similarity, "real", ways)
    generator = np.random.default_rng(0)
    drawn = np.zeros(12)
    for _ in range(2000):
        for j in range(12):
            others = generator.choice(np.delete(np.arange(12), j), ways - 1, replace=False)
            drawn[j] += (similarity[others, j] < similarity[j, j]).all()
    assert exact == pytest.approx(drawn / 2000, abs=0.05)


def test_n_way_at_its_ends():
    seen = features(0)
    similarity = identification.correlations(seen, 0.2 * seen + features(1))
    two = identification.two_way(similarity, "generated")
    assert identification.n_way(similarity, "generated", 2) == pytest.approx(two)
    top = identification.n_way(similarity, "real", 30)
    assert (top == (similarity.argmax(axis=0) == np.arange(30))).all()
    with pytest.raises(ValueError, match="at least 2"):
        identification.n_way(similarity, "real", 1)
    with pytest.raises(ValueError, match="real or generated"):
        identification.two_way(similarity, "both")


def test_torch_rows_are_numpys():
    torch = pytest.importorskip("torch")
    rows = features(0)
    rows[3] = 2.0
    found = identification.unit_rows(torch.from_numpy(rows)).numpy()
    assert np.allclose(found, identification.unit_rows(rows), atol=1e-6)
