"""Scores of pixels: correlation and structural similarity, for batches, on numpy or torch arrays.

Only slicing, arithmetic and reductions are used, so that the same code runs on numpy arrays and, on
a GPU, on torch tensors. Moments of the seen pictures are computed once and serve every sample.

Windows are moved over pictures laid out in one line, row after row: all arithmetic is on contiguous
memory, several times faster than on rows without their ends. A window that begins near the end of a
row wraps around to the next; such places are computed and left out of the average.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

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

    weights : along one axis, odd in number, the same from both ends, summing to 1
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

    def mean(self, line, width: int):
        """Weighted local mean at every place of pictures in one line.

        Parameters
        ----------
        line : (n * height * width,)

        Returns
        -------
        (places,): the element at i * height * width + row * width + column belongs to the window
        whose upper left corner is there, as far as a whole window fits
        """
        sums = _sums if len(set(self.weights)) == 1 else _weighted
        means = sums(line, self.weights, width)
        if not self.per_column:
            means = sums(means, self.weights, 1)
        if sums is _sums:
            means *= self.weights[0] ** (1 if self.per_column else 2)
        return means


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
    """What SSIM needs of some rows of n seen pictures, each array in one line (`Window.mean`).

    rows : the places `top` to `end`, whose windows cover `side - 1` rows more
    square : mean^2 + C1; spread : variance + C2
    """

    rows: slice
    pictures: Any
    mean: Any
    square: Any
    spread: Any


def moments(images, window: Window, strip: int | None = None) -> list[Moments]:
    """Local moments of gray pictures (n, h, w) in 0..1.

    Parameters
    ----------
    strip : rows of places that are computed together; few enough stay in a CPU's cache

    Raises
    ------
    ValueError
        if the window does not fit into the pictures
    """
    side = len(window.weights)
    if side > min(images.shape[1 : 2 if window.per_column else 3]):
        raise ValueError(f"pictures of {images.shape[1:]} are smaller than the window, {side}")
    rows = images.shape[1] - side + 1
    strip = strip or rows
    return [
        _moments(images, window, slice(top, min(top + strip, rows)))
        for top in range(0, rows, strip)
    ]


def _moments(images, window: Window, rows: slice) -> Moments:
    width = images.shape[2]
    pictures = _line(images, window, rows)
    mean = window.mean(pictures, width)
    square = mean * mean
    spread = window.mean(pictures * pictures, width)
    spread -= square
    spread *= window.correction
    spread += C2
    square += C1
    return Moments(rows, pictures, mean, square, spread)


def _line(images, window: Window, rows: slice):
    """The picture rows that the windows of these places cover, in one line."""
    return images[:, rows.start : rows.stop + len(window.weights) - 1].reshape(-1)


def ssim(seen: list[Moments], images, window: Window):
    """Structural similarity (Wang et al. 2004) averaged over places.

    Parameters
    ----------
    seen : of n pictures, by `moments`
    images : gray reconstructions (n, h, w) in 0..1

    Returns
    -------
    (n,)
    """
    total = 0.0
    for part in seen:
        similarity = _similarity(part, _line(images, window, part.rows), images.shape[2], window)
        count = part.rows.stop - part.rows.start
        total = total + _places(similarity, images.shape, count, window).mean((1, 2)) * count
    return total / (images.shape[1] - len(window.weights) + 1)


def _similarity(seen: Moments, pictures, width: int, window: Window):
    """(2 m_x m_y + C1) (2 c + C2) / ((m_x^2 + m_y^2 + C1) (v_x + v_y + C2)), in few passes."""
    mean, spread = window.mean(pictures, width), window.mean(pictures * pictures, width)
    square = mean * mean
    spread -= square
    spread *= window.correction
    spread += seen.spread
    square += seen.square
    spread *= square
    product = mean
    product *= seen.mean
    covariance = window.mean(seen.pictures * pictures, width)
    covariance -= product
    covariance *= 2 * window.correction
    covariance += C2
    product *= 2
    product += C1
    covariance *= product
    covariance /= spread
    return covariance


def _places(line, shape: tuple[int, ...], rows: int, window: Window):
    """The places of a line where the whole window fits, (n, rows, columns), without a copy."""
    (n, _, width), more = shape, len(window.weights) - 1
    found = (n, rows, width if window.per_column else width - more)
    steps = ((rows + more) * width, width, 1)
    if isinstance(line, np.ndarray):
        return as_strided(line, found, [step * line.itemsize for step in steps], writeable=False)
    return line.as_strided(found, steps)


def _weighted(line, weights: tuple[float, ...], step: int):
    """Weighted sums over windows whose weights are the same from both ends."""
    side = len(weights)
    size = len(line) - (side - 1) * step

    def part(offset: int):
        return line[offset * step : offset * step + size]

    total = part(side // 2) * weights[side // 2]
    for offset in range(side // 2):
        pair = part(offset) + part(side - 1 - offset)
        pair *= weights[offset]
        total += pair
    return total


def _sums(line, weights: tuple[float, ...], step: int):
    """Sums over windows: of 1, 2, 4, ... neighbours by doubling, and the side put together."""
    side = len(weights)
    size = len(line) - (side - 1) * step
    total, offset, run, length = None, 0, line, 1
    while length <= side:
        if side & length:
            part = run[offset * step : offset * step + size]
            total = part if total is None else total + part
            offset += length
        length *= 2
        if length <= side:
            half = length // 2 * step
            run = run[: len(run) - half] + run[half:]
    return total
