"""PCC in closed form; SSIM against scikit-image and against windows written out in plain numpy."""

import numpy as np
import pytest

from afterimage.metrics import pixel

C1, C2 = 0.01**2, 0.03**2


def pictures(seed: int, n: int = 2, side: int = 40) -> np.ndarray:
    """Smooth random pictures: what neighbours share is what windows see."""
    generator = np.random.default_rng(seed)
    rough = generator.normal(size=(n, side, side, 3))
    smooth = rough.cumsum(axis=1).cumsum(axis=2)
    low = smooth.min(axis=(1, 2, 3), keepdims=True)
    high = smooth.max(axis=(1, 2, 3), keepdims=True)
    return (smooth - low) / (high - low)


def score(one: np.ndarray, other: np.ndarray, window: pixel.Window, strip: int | None = None):
    return pixel.ssim(pixel.moments(one, window, strip), other, window)


def plain_ssim(one: np.ndarray, other: np.ndarray, weights: np.ndarray, factor: float) -> float:
    """SSIM of two 2-D pictures from its definition: a loop over places, weighted moments."""
    height, width = weights.shape
    values = []
    for top in range(one.shape[0] - height + 1):
        for left in range(one.shape[1] - width + 1):
            x = one[top : top + height, left : left + width]
            y = other[top : top + height, left : left + width]
            mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
            variance_x = factor * (weights * (x - mean_x) ** 2).sum()
            variance_y = factor * (weights * (y - mean_y) ** 2).sum()
            covariance = factor * (weights * (x - mean_x) * (y - mean_y)).sum()
            above = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
            below = (mean_x**2 + mean_y**2 + C1) * (variance_x + variance_y + C2)
            values.append(above / below)
    return float(np.mean(values))


def gaussian(radius: int = 5, sigma: float = 1.5) -> np.ndarray:
    weights = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    return weights / weights.sum()


def test_pcc_in_closed_form():
    # Means 2 and 4, deviations (-1, 0, 1) and (-2, -2, 4): r = 6 / sqrt(2 * 24)
    found = pixel.pcc(np.array([[1.0, 2.0, 3.0]]), np.array([[2.0, 2.0, 8.0]]))
    assert found == pytest.approx([6 / np.sqrt(48)])


def test_pcc_agrees_with_numpy_on_eight_bit_pictures():
    one, other = ((pictures(seed) * 255).round() for seed in (0, 1))
    expected = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(one, other, strict=True)]
    assert pixel.pcc(one, other) == pytest.approx(expected, abs=1e-12)


def test_pcc_of_identical_inverted_rescaled_and_constant_pictures():
    one = pictures(2)
    assert pixel.pcc(one, one) == pytest.approx([1, 1])
    assert pixel.pcc(one, 1 - one) == pytest.approx([-1, -1])
    assert pixel.pcc(one, 0.2 + 0.1 * one) == pytest.approx([1, 1])
    assert (pixel.pcc(one, np.full_like(one, 0.7)) == 0).all()
    assert (pixel.pcc(np.full_like(one, 0.7), one) == 0).all()


def test_nan_in_a_picture_gives_nan_and_leaves_the_others_alone():
    one, other = pictures(0), pictures(1)
    other[0, 3, 3, 0] = np.nan
    found = pixel.pcc(one, other)
    assert np.isnan(found[0])
    assert np.isfinite(found[1])
    window = pixel.uniform_window()
    similar = score(pixel.gray(one), pixel.gray(other), window)
    assert np.isnan(similar[0])
    assert np.isfinite(similar[1])


def test_gray_is_scikit_images():
    from skimage.color import rgb2gray

    one = pictures(3)
    assert np.allclose(pixel.gray(one), np.stack([rgb2gray(picture) for picture in one]))
    eight_bit = (one * 255).astype(np.uint8)
    expected = np.stack([rgb2gray(picture) for picture in eight_bit])
    assert np.allclose(pixel.gray(eight_bit), expected, atol=1e-12)


@pytest.mark.parametrize("strip", [None, 7, 64])
def test_ssim_agrees_with_scikit_image(strip):
    from skimage.metrics import structural_similarity

    one, other = (pixel.gray(pictures(seed)) for seed in (4, 5))
    uniform = [structural_similarity(a, b, data_range=1) for a, b in zip(one, other, strict=True)]
    assert score(one, other, pixel.uniform_window(), strip) == pytest.approx(uniform, abs=1e-12)
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    weighted = [
        structural_similarity(a, b, data_range=1, **settings)
        for a, b in zip(one, other, strict=True)
    ]
    assert score(one, other, pixel.gaussian_window(), strip) == pytest.approx(weighted, abs=1e-12)


def test_ssim_agrees_with_plain_numpy_windows():
    one, other = (pixel.gray(pictures(seed, n=1, side=22))[0] for seed in (6, 7))
    square = np.full((7, 7), 1 / 49)
    expected = plain_ssim(one, other, square, factor=49 / 48)
    assert score(one[None], other[None], pixel.uniform_window())[0] == pytest.approx(expected)
    expected = plain_ssim(one, other, np.outer(gaussian(), gaussian()), factor=1)
    assert score(one[None], other[None], pixel.gaussian_window())[0] == pytest.approx(expected)


def test_per_column_ssim_is_one_dimensional_ssim_averaged_over_columns():
    one, other = (pixel.gray(pictures(seed, n=1, side=22))[0] for seed in (8, 9))
    column = gaussian()[:, None]
    expected = plain_ssim(one, other, column, factor=1)
    found = score(one[None], other[None], pixel.gaussian_window(per_column=True))
    assert found[0] == pytest.approx(expected)
    unbiased = plain_ssim(one, other, np.full((7, 1), 1 / 7), factor=7 / 6)
    found = score(one[None], other[None], pixel.uniform_window(per_column=True))
    assert found[0] == pytest.approx(unbiased)


def test_stripes_separate_per_column_from_two_dimensional_ssim():
    """Columns shifted in brightness each by itself: flat to a column, full of contrast to a square.

    Each column is constant, so one-dimensional moments hold no variance and the structure term is
    1: what remains is the luminance term (2ab + C1) / (a^2 + b^2 + C1) of every column, in closed
    form. Seen with inverted stripes it is high; the two-dimensional covariance is negative.
    """
    light, dark = 0.6, 0.4
    stripes = np.tile(np.where(np.arange(30) % 2, light, dark), (30, 1))
    inverted = np.tile(np.where(np.arange(30) % 2, dark, light), (30, 1))
    expected = (2 * light * dark + C1) / (light**2 + dark**2 + C1)
    per_column = score(stripes[None], inverted[None], pixel.gaussian_window(per_column=True))[0]
    assert per_column == pytest.approx(expected)
    square = score(stripes[None], inverted[None], pixel.gaussian_window())[0]
    assert square == pytest.approx(
        plain_ssim(stripes[:12, :14], inverted[:12, :14], np.outer(gaussian(), gaussian()), 1),
        abs=1e-3,
    )
    assert per_column > 0.9
    assert square < -0.8


def test_ssim_of_degenerate_pictures():
    one = pixel.gray(pictures(0, n=1))
    window = pixel.uniform_window()
    assert score(one, one, window)[0] == pytest.approx(1)
    black, white = np.zeros_like(one), np.ones_like(one)
    # Luminance term alone: (0 + C1) / (1 + C1)
    assert score(black, white, window)[0] == pytest.approx(C1 / (1 + C1))
    assert score(black, black, window)[0] == pytest.approx(1)
    assert score(one, 1 - one, window)[0] < 0
    with pytest.raises(ValueError, match="smaller than the window"):
        score(one[:, :6, :6], one[:, :6, :6], window)


def test_ssim_does_not_depend_on_the_batch():
    one, other = (pixel.gray(pictures(seed, n=3)) for seed in (0, 1))
    window = pixel.gaussian_window()
    together = score(one, other, window)
    alone = [score(one[i : i + 1], other[i : i + 1], window)[0] for i in range(3)]
    assert together == pytest.approx(alone, abs=1e-14)


def test_torch_tensors_give_what_numpy_arrays_give():
    torch = pytest.importorskip("torch")
    one, other = (pixel.gray(pictures(seed)) for seed in (0, 1))
    for window in (pixel.uniform_window(), pixel.gaussian_window(per_column=True)):
        seen = pixel.moments(torch.from_numpy(one), window)
        found = pixel.ssim(seen, torch.from_numpy(other), window)
        assert found.numpy() == pytest.approx(score(one, other, window), abs=1e-12)
    tensors = torch.from_numpy(pictures(0)), torch.from_numpy(pictures(1))
    assert pixel.pcc(*tensors) == pytest.approx(pixel.pcc(pictures(0), pictures(1)), abs=1e-12)
