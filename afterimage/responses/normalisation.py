"""Dropping bad voxels and normalising the others, by statistics of training trials alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from afterimage.errors import InputError

METHODS = ("voxel", "voxel_session", "scalar")
BLOCK_BYTES = 32 << 20
SESSION_ARRAYS = "session_number", "session_mean", "session_std"


def blocks(length: int, item_bytes: int) -> Iterator[slice]:
    """Slices of an axis, each of which takes about `BLOCK_BYTES`."""
    step = max(1, BLOCK_BYTES // max(1, item_bytes))
    return (slice(start, min(start + step, length)) for start in range(0, length, step))


def mean_and_std(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and standard deviation of every voxel over trials, and which voxels are bad.

    Parameters
    ----------
    x : (n_trials, n_voxels)

    Returns
    -------
    mean, std (n_voxels,) float64, the deviation by n, not n - 1; bad (n_voxels,) bool: constant
    or not finite somewhere (its mean and std are then without meaning)
    """
    n_trials, n_voxels = x.shape
    total = np.zeros(n_voxels)
    low, high = np.full(n_voxels, np.inf), np.full(n_voxels, -np.inf)
    squares = np.zeros(n_voxels)
    with np.errstate(invalid="ignore"):
        for rows in blocks(n_trials, 8 * n_voxels):
            total += x[rows].sum(axis=0, dtype=np.float64)
            low = np.minimum(low, x[rows].min(axis=0))
            high = np.maximum(high, x[rows].max(axis=0))
        mean = total / max(1, n_trials)
        for rows in blocks(n_trials, 8 * n_voxels):
            squares += ((x[rows] - mean) ** 2).sum(axis=0)
    std = np.sqrt(squares / max(1, n_trials))
    return mean, std, ~(np.isfinite(mean) & np.isfinite(std)) | (low >= high)


def constant_voxels(x: np.ndarray) -> np.ndarray:
    """Voxels (n_voxels,) bool that are the same in all of x (n_trials, n_voxels)."""
    return (x == x[:1]).all(axis=0)


@dataclass(frozen=True)
class Normalisation:
    """How an area's betas become responses, known from training trials alone.

    `kept` (n_area_voxels,) bool: the voxels that stay; `mean`, `std` (n_kept,) float64 over all
    training trials. For `voxel_session` also `sessions` (S,) and `session_mean`, `session_std`
    (S, n_kept). For `scalar`, the published way, mean and std are one number each, repeated, and
    other splits use their own.
    """

    method: str
    kept: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    sessions: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    session_mean: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    session_std: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    @classmethod
    def fit(
        cls, x: np.ndarray, session: np.ndarray, method: str, max_bad_voxels: float, what: str
    ) -> "Normalisation":
        """Learn from training trials.

        Parameters
        ----------
        x : (n_trials, n_voxels) betas; session : (n_trials,)
        max_bad_voxels : share of voxels that may be constant or not finite
        what : dataset, subject and area, for messages

        Raises
        ------
        InputError
            if there are no training trials, or more voxels than allowed are bad
        """
        if method not in METHODS:
            raise InputError("responses.normalise", f"one of {', '.join(METHODS)}", repr(method))
        if not x.size:
            raise InputError(what, "training trials and voxels", f"a matrix of shape {x.shape}")
        mean, std, bad = mean_and_std(x)
        sessions = np.zeros(0, np.int64)
        session_mean = session_std = np.zeros((0, x.shape[1]))
        if method == "voxel_session":
            sessions = np.unique(session).astype(np.int64)
            parts = [mean_and_std(x[session == number]) for number in sessions]
            session_mean, session_std = (np.stack([part[i] for part in parts]) for i in (0, 1))
            bad |= np.any([part[2] for part in parts], axis=0)
        _report_bad_voxels(bad, max_bad_voxels, what, lambda: _worst_session(x, session))
        kept = ~bad
        if method == "scalar":
            # All voxels have equally many trials: the variance of the whole matrix is the mean
            # variance within voxels plus the variance of their means.
            whole = mean[kept].mean()
            spread = np.sqrt((std[kept] ** 2).mean() + mean[kept].var())
            mean, std = np.full(len(mean), whole), np.full(len(std), spread)
        return cls(
            method=method,
            kept=kept,
            mean=mean[kept],
            std=std[kept],
            sessions=sessions,
            session_mean=session_mean[:, kept],
            session_std=session_std[:, kept],
        )

    def select(self, good: np.ndarray) -> "Normalisation":
        """Keep fewer voxels: good (n_kept,) bool."""
        kept = self.kept.copy()
        kept[self.kept] = good
        return Normalisation(
            self.method,
            kept,
            self.mean[good],
            self.std[good],
            self.sessions,
            self.session_mean[:, good],
            self.session_std[:, good],
        )

    def apply(self, x: np.ndarray, session: np.ndarray, what: str = "responses") -> np.ndarray:
        """Keep the kept voxels and normalise them, in place.

        Parameters
        ----------
        x : (n_trials, n_area_voxels) float32, overwritten; session : (n_trials,)

        Returns
        -------
        (n_trials, n_kept) float32, a view into x
        """
        n_kept = len(self.mean)
        mean, std = self._per_trial(np.asarray(session), what)
        for rows in blocks(len(x), 16 * x.shape[1]):
            x[rows, :n_kept] = (x[rows][:, self.kept] - mean(rows)) / std(rows)
        return x[:, :n_kept]

    def to_percent(
        self, session: np.ndarray, image_id: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What makes percent signal change of normalised responses averaged over an image's trials.

        Parameters
        ----------
        session, image_id : (n_trials,) of the trials that are averaged

        Returns
        -------
        std, mean : response * std + mean is percent; (n_kept,) or, where sessions differ,
        (n_images, n_kept) by sorted image id, and then a mean of trials weighted by 1 / std
        """
        if self.method != "voxel_session":
            return self.std, self.mean
        images, image = np.unique(np.asarray(image_id, dtype=str), return_inverse=True)
        counts = np.zeros((len(images), len(self.sessions)))
        np.add.at(counts, (image, np.searchsorted(self.sessions, session)), 1)
        shares = counts / counts.sum(axis=1, keepdims=True)
        std = 1 / (shares @ (1 / self.session_std))
        return std, shares @ (self.session_mean / self.session_std) * std

    def _per_trial(self, session: np.ndarray, what: str):
        """The mean and the std that belong to a block of trials, as functions of its rows."""
        if self.method != "voxel_session":
            return (lambda rows: self.mean), (lambda rows: self.std)
        unknown = np.setdiff1d(session, self.sessions)
        if len(unknown):
            raise InputError(
                f"{what}, session {unknown[0]}",
                "training trials to normalise by",
                "none",
                "Set responses.normalise to voxel.",
            )
        where = np.searchsorted(self.sessions, session)
        return (
            lambda rows: self.session_mean[where[rows]],
            lambda rows: self.session_std[where[rows]],
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """As arrays of the training responses, from which `from_arrays` restores it."""
        values = {
            "voxel_kept": self.kept,
            "voxel_mean": self.mean.astype(np.float32),
            "voxel_std": self.std.astype(np.float32),
        }
        if self.method == "voxel_session":
            per_session = self.sessions, self.session_mean, self.session_std
            values |= dict(zip(SESSION_ARRAYS, per_session, strict=True))
        return values

    @classmethod
    def from_arrays(cls, method: str, values: dict[str, np.ndarray]) -> "Normalisation":
        """Restore what `arrays` gave."""
        per_session = [values[name] for name in SESSION_ARRAYS] if method == "voxel_session" else []
        return cls(
            method,
            values["voxel_kept"].astype(bool),
            values["voxel_mean"].astype(np.float64),
            values["voxel_std"].astype(np.float64),
            *per_session,
        )


def _report_bad_voxels(bad: np.ndarray, most: float, what: str, where: Callable[[], str]) -> None:
    if not bad.any():
        return
    line = f"{bad.sum()} of {len(bad)} voxels ({bad.mean():.1%}), first voxel {bad.argmax()},"
    print(f"{what}: dropped {line} constant or not finite over training trials")
    if bad.mean() > most or bad.all():
        raise InputError(
            what,
            f"at most {most:.1%} of voxels constant or not finite over training trials",
            line.rstrip(",") + where(),
            "Look at the raw file, or raise responses.max_bad_voxels.",
        )


def _worst_session(x: np.ndarray, session: np.ndarray) -> str:
    """Which session has most voxels that are not finite, if there are several sessions."""
    sessions = np.unique(session)
    count = [(~np.isfinite(x[session == number]).all(axis=0)).sum() for number in sessions]
    if len(sessions) < 2 or not any(count):
        return ""
    return f", most of them ({max(count)}) in session {sessions[int(np.argmax(count))]}"


def fill_not_finite(x: np.ndarray, most: float, what: str) -> None:
    """Put the training mean, 0, where a normalised response is not finite, in place.

    Validation and test data may not choose voxels, so a voxel that is bad there only stays.

    Raises
    ------
    InputError
        if more than the share `most` of the values is not finite
    """
    missing = ~np.isfinite(x)
    if not missing.any():
        return
    voxels = missing.any(axis=0)
    found = f"{missing.sum()} values in {voxels.sum()} voxels, first voxel {voxels.argmax()}"
    if missing.mean() > most:
        raise InputError(
            what, f"at most {most:.1%} of values not finite", found, "Look at the raw file."
        )
    print(f"{what}: {found}, not finite, set to the training mean")
    x[missing] = 0


def normalise_by_own_scalar(x: np.ndarray) -> np.ndarray:
    """The published way: one mean and one std over the whole matrix (n_samples, n_voxels)."""
    mean, std = own_scalar(x)
    return ((x.astype(np.float64) - mean) / std).astype(np.float32)


def own_scalar(x: np.ndarray) -> tuple[float, float]:
    """Mean and std over all finite values of a matrix; a std of zero is given as one."""
    values = x.astype(np.float64)
    finite = np.isfinite(values)
    return float(values.mean(where=finite)), float(values.std(where=finite)) or 1.0
