"""Scores of pixels: correlation and structural similarity, for batches, on numpy or torch arrays.

Only slicing, arithmetic and reductions are used, so that the same code runs on numpy arrays and, on
a GPU, on torch tensors. Moments of the seen pictures are computed once and serve every sample.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from afterimage.metrics.identification import FLAT, unit_rows

LUMA = (0.2125, 0.7154, 0.0721)  # CIE 1931 luminance of linear RGB, as scikit-image's rgb2gray
C1, C2 = 0.01**2, 0.03**2  # Wang et al. 2004, for a data range of 1


def pcc(seen, reconstructed):
    """Pearson's r over all pixels and colours of pairs of pictures, (n, ...) twice to (n,).

    A picture without variance has no correlation; it scores 0 here, where numpy gives NaN, so that
    a method cannot gain by leaving pictures blank. NaN in a picture gives NaN.
    """
    return pcc_of_rows(unit_rows_of(seen), rows_of(reconstructed))


def unit_rows_of(images):
    """Pictures as centred rows of length one, zeros where a picture has no variance."""
    rows = rows_of(images)
    if not isinstance(rows, np.ndarray):
        return unit_rows(rows)
    # The rows are a fresh copy: done in place this is several times faster than unit_rows.
    for row in rows:
        size = row @ row
        row -= row.mean()
        spread = row @ row
        row *= 0.0 if spread <= FLAT**2 * size else 1 / spread**0.5
    return rows


def rows_of(images):
    """Pictures as float64 rows; their scale does not matter to a correlation."""
    rows = images.reshape(len(images), -1)
    return rows.astype(np.float64) if isinstance(rows, np.ndarray) else rows.double()


def pcc_of_rows(unit, rows):
    """Pearson's r of rows of `unit_rows` (n, d) with rows of pixels (n, d) as (n,)."""
    if not isinstance(rows, np.ndarray):
        return (unit * unit_rows(rows)).sum(1)
    return np.array([_pcc_of_row(own, row) for own, row in zip(unit, rows, strict=True)])


def _pcc_of_row(unit: np.ndarray, row: np.ndarray) -> float:
    """The same by products of vectors alone, without a copy."""
    size, mean = row @ row, row.mean()
    spread = size - len(row) * mean * mean
    return float(unit @ row / spread**0.5) if not spread <= FLAT**2 * size else 0.0


def gray(images):
    """Luminance of (n, h, w, 3), 8 bit or floats in 0..1, as float64 (n, h, w) in 0..1."""
    eight_bit = isinstance(images, np.ndarray) and images.dtype == np.uint8
    red, green, blue = (weight / 255 if eight_bit else weight for weight in LUMA)
    total = images[..., 0] * red
    total += images[..., 1] * green
    total += images[..., 2] * blue
    return total


@dataclass(frozen=True)
class Window:
    """How local statistics of SSIM are weighted.

    weights : along one axis, summing to 1; equal weights are filtered by running sums
    per_column : filter along rows only and average over columns. This is what scikit-image before
        0.20 computed for a gray picture with `multichannel=True`, and so what most published tables
        of this field hold
    unbiased : covariances with n / (n - 1), scikit-image's default
    """

    weights: tuple[float, ...]
    per_column: bool = False
    unbiased: bool = False

    @property
    def correction(self) -> float:
        """Factor on (co)variances."""
        n = len(self.weights) ** (1 if self.per_column else 2)
        return n / (n - 1) if self.unbiased else 1.0

    def mean(self, images):
        """Weighted local mean of (n, h, w) at every place where the whole window fits."""
        side = len(self.weights)
        if side > min(images.shape[1 : 2 if self.per_column else 3]):
            raise ValueError(f"pictures of {images.shape[1:]} are smaller than the window, {side}")
        sums = _sums if len(set(self.weights)) == 1 else _weighted
        images = sums(images, self.weights, axis=1)
        if not self.per_column:
            images = sums(images, self.weights, axis=2)
        if sums is _sums:
            images *= self.weights[0] ** (1 if self.per_column else 2)
        return images


def uniform_window(side: int = 7, per_column: bool = False) -> Window:
    """scikit-image's default: equal weights and unbiased covariances."""
    return Window((1 / side,) * side, per_column, unbiased=True)


def gaussian_window(sigma: float = 1.5, per_column: bool = False) -> Window:
    """Wang et al.'s window, cut at 3.5 sigma: `gaussian_weights` without sample covariance."""
    radius = int(3.5 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return Window(tuple((weights / weights.sum()).tolist()), per_column)


@dataclass(frozen=True)
class Moments:
    """Gray pictures (n, h, w), their local means, and what SSIM's denominators need of them.

    square : mean^2 + C1; spread : variance + C2
    """

    images: Any
    mean: Any
    square: Any
    spread: Any

    def part(self, top: int, end: int, side: int) -> "Moments":
        """Rows `top` to `end` of the result, with the picture rows that their windows cover."""
        rows = slice(top, end)
        covered = self.images[:, top : end + side - 1]
        return Moments(covered, self.mean[:, rows], self.square[:, rows], self.spread[:, rows])


def moments(images, window: Window) -> Moments:
    """Local moments of gray pictures (n, h, w) in 0..1."""
    mean = window.mean(images)
    square = mean * mean
    spread = window.mean(images * images)
    spread -= square
    spread *= window.correction
    spread += C2
    square += C1
    return Moments(images, mean, square, spread)


def ssim(seen: Moments, images, window: Window, strip: int | None = None):
    """Structural similarity (Wang et al. 2004) averaged over places.

    Parameters
    ----------
    seen : moments of n pictures, or of one that serves all
    images : gray reconstructions (n, h, w) in 0..1
    strip : rows of the result that are computed together; strips of 64 stay in a CPU's cache

    Returns
    -------
    (n,)
    """
    side, rows = len(window.weights), seen.mean.shape[1]
    strip, total = strip or rows, 0.0
    for top in range(0, rows, strip):
        end = min(top + strip, rows)
        similarity = _similarity(seen.part(top, end, side), images[:, top : end + side - 1], window)
        total = total + similarity.reshape(len(similarity), -1).mean(1) * ((end - top) / rows)
    return total


def _similarity(seen: Moments, images, window: Window):
    """(2 m_x m_y + C1) (2 c + C2) / ((m_x^2 + m_y^2 + C1) (v_x + v_y + C2)), in few passes."""
    mean, spread = window.mean(images), window.mean(images * images)
    square = mean * mean
    spread -= square
    spread *= window.correction
    spread += seen.spread
    square += seen.square
    spread *= square
    product = mean
    product *= seen.mean
    covariance = window.mean(seen.images * images)
    covariance -= product
    covariance *= 2 * window.correction
    covariance += C2
    product *= 2
    product += C1
    covariance *= product
    covariance /= spread
    return covariance


def _shifted(images, start: int, length: int, axis: int):
    rows = slice(start, start + length)
    return images[:, rows] if axis == 1 else images[:, :, rows]


def _weighted(images, weights: tuple[float, ...], axis: int):
    places = images.shape[axis] - len(weights) + 1
    total = _shifted(images, 0, places, axis) * weights[0]
    for offset in range(1, len(weights)):
        total += _shifted(images, offset, places, axis) * weights[offset]
    return total


def _sums(images, weights: tuple[float, ...], axis: int):
    """Sums over windows: of 1, 2, 4, ... neighbours by doubling, and the side put together."""
    side, size = len(weights), images.shape[axis]
    total, offset, run, length = None, 0, images, 1
    while length <= side:
        if side & length:
            part = _shifted(run, offset, size - side + 1, axis)
            total = part if total is None else total + part
            offset += length
        length *= 2
        if length <= side:
            sums = size - length + 1
            run = _shifted(run, 0, sums, axis) + _shifted(run, length // 2, sums, axis)
    return total
