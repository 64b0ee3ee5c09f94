"""Category knowledge, collapse, noise ceilings and novelty against simulation and closed forms."""

import numpy as np
import pytest

from afterimage.errors import InputError
from afterimage.metrics import controls, identification, novelty
from afterimage.metrics.categories import read_categories


def test_category_only_is_the_published_formula():
    labels = ["cat"] * 5 + ["dog"] * 3 + ["car"]
    expected = 1 - 0.5 * (5 * 4 + 3 * 2) / (9 * 8)
    assert controls.category_only(labels).mean() == pytest.approx(expected)
    # K equal clusters: close to 1 - 1 / (2 K)
    equal = controls.category_only([str(i % 40) for i in range(4000)])
    assert equal.mean() == pytest.approx(1 - 0.5 / 40, abs=2e-4)


def test_category_only_at_its_ends():
    assert (controls.category_only(list("abcdef")) == 1).all()
    assert controls.category_only(["a"] * 7) == pytest.approx(np.full(7, 0.5))
    assert controls.category_only(["a"] * 7, ways=4) == pytest.approx(np.full(7, 0.25))
    assert np.isnan(controls.category_only(["a"])).all()


@pytest.mark.parametrize("ways", [2, 4])
def test_category_only_is_what_a_classifier_with_ties_broken_by_chance_scores(ways):
    labels = np.array([0] * 6 + [1] * 3 + [2] * 2)
    generator = np.random.default_rng(0)
    found = np.zeros(11)
    for _ in range(300):
        # Every reconstruction carries its category and an accident that decides among equals.
        similarity = (labels[:, None] == labels[None]) + 0.1 * generator.random((11, 11))
        found += identification.n_way(similarity, "real", ways)
    assert controls.category_only(labels.tolist(), ways) == pytest.approx(found / 300, abs=0.05)


def test_participation_ratio_counts_equal_dimensions():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(50, 7))
    rows = np.linalg.qr(rows - rows.mean(axis=0))[0]
    assert controls.participation_ratio(rows) == pytest.approx(7, rel=1e-6)
    eigenvalues = np.array([4.0, 1.0, 1.0])
    expected = eigenvalues.sum() ** 2 / (eigenvalues**2).sum()
    assert controls.participation_ratio(rows[:, :3] * np.sqrt(eigenvalues)) == pytest.approx(
        expected
    )
    # Both sides of the Gram matrix give the same.
    wide = generator.normal(size=(6, 30))
    centred = wide - wide.mean(axis=0)
    spectrum = np.linalg.eigvalsh(centred.T @ centred)
    expected = spectrum.sum() ** 2 / (spectrum**2).sum()
    assert controls.participation_ratio(wide) == pytest.approx(expected)
    assert controls.participation_ratio(np.ones((5, 3))) == 0


def halves_of(reliability: float, n: int, k: int = 2, d: int = 20_000) -> tuple[np.ndarray, list]:
    """A signal (n, d) and `k` noisy copies that correlate by so much with one another."""
    generator = np.random.default_rng(0)
    signal = generator.normal(size=(n, d))
    noise = np.sqrt(1 / reliability - 1)
    return signal, [signal + noise * generator.normal(size=signal.shape) for _ in range(k)]


@pytest.mark.parametrize("n", [12, 100])
@pytest.mark.parametrize("reliability", [0.05, 0.1, 0.3, 0.9])
def test_noise_ceiling_is_the_true_reliability_of_a_simulated_decoder(reliability, n):
    signal, halves = halves_of(reliability, n)
    expected = np.sqrt(2 * reliability / (1 + reliability))
    assert controls.noise_ceiling(*halves) == pytest.approx(expected, abs=0.03)
    together = controls.pooled_correlation((halves[0] + halves[1]) / 2, signal)
    assert together == pytest.approx(expected, abs=0.03)


def test_noise_ceiling_from_halves_that_are_a_third_of_the_repeats():
    signal, repeats = halves_of(0.2, 100, k=3)
    expected = controls.pooled_correlation(np.mean(repeats, axis=0), signal)
    found = controls.noise_ceiling(repeats[0], repeats[1], lengthening=3)
    assert found == pytest.approx(expected, abs=0.03)


def test_noise_ceiling_of_halves_that_agree_fully_or_not_at_all():
    rows = np.random.default_rng(0).normal(size=(30, 4))
    assert controls.noise_ceiling(rows, rows) == pytest.approx(1)
    assert np.isnan(controls.noise_ceiling(rows, -rows))
    assert np.isnan(controls.noise_ceiling(rows, np.zeros_like(rows)))


@pytest.mark.parametrize("n", [12, 100, 982])
def test_halves_that_share_nothing_have_no_ceiling_to_speak_of(n):
    one, other = np.random.default_rng(0).normal(size=(2, n, 500))
    found = controls.noise_ceiling(one, other)
    # 2.5 standard deviations of the pooled r of 500 dimensions, before the root.
    assert np.isnan(found) or found < np.sqrt(2 * 2.5 / np.sqrt(500 * n))


def test_nearest_training_image_and_its_distance():
    generator = np.random.default_rng(0)
    train = generator.normal(size=(700, 4, 5))
    test = 2 * train[[612, 3]] + 1
    test[1] += 0.1 * generator.normal(size=(4, 5))
    distance, nearest = novelty.nearest_training(test, train)
    assert nearest.tolist() == [612, 3]
    assert distance[0] == pytest.approx(0, abs=1e-6)
    expected = 1 - np.corrcoef(test[1].ravel(), train[3].ravel())[0, 1]
    assert distance[1] == pytest.approx(expected, abs=1e-6)


def test_a_decoder_that_retrieves_training_images_is_never_novel():
    generator = np.random.default_rng(0)
    train, true = generator.normal(size=(60, 20)), generator.normal(size=(600, 20))
    _, nearest = novelty.nearest_training(true, train)
    top, _ = novelty.novelty_identification(train[nearest], true, train)
    assert (top == 0).all()
    # Two-way against other test images it nevertheless scores far above chance.
    among_test = identification.correlations(true[:50], train[nearest][:50])
    assert identification.two_way(among_test, "real").mean() > 0.8
    top, share = novelty.novelty_identification(true, true, train)
    assert (top == 1).all()
    assert (share == 1).all()


def test_categories_come_from_ids_or_a_file(tmp_path):
    import pandas as pd

    scores = pd.DataFrame({"dataset": ["t", "t", "n"], "image_id": ["dog_1s", "", "12"]})
    path = tmp_path / "labels.csv"
    path.write_text("image_id,category\n12,7\n0013,8\n")
    settings = {"t": {"source": "concept"}, "n": {"source": "file", "path": str(path)}}
    found = read_categories(settings, scores)
    assert found["t"]["labels"] == {"dog_1s": "dog"}
    assert found["n"] == {"labels": {"12": "7", "0013": "8"}, "source": "labels.csv"}
    with pytest.raises(InputError, match="nothing"):
        read_categories({"n": {"source": "file", "path": "absent.csv"}}, scores)
    path.write_text("id,label\n12,7\n")
    with pytest.raises(InputError, match="image_id and category"):
        read_categories({"n": {"source": "file", "path": str(path)}}, scores)
    with pytest.raises(InputError, match="guess"):
        read_categories({"n": {"source": "guess"}}, scores)
