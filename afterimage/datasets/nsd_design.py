"""NSD's design: which image was shown in which trial, and which images are shared.

`nsd_expdesign.mat` counts from 1 throughout and MATLAB stores its doubles as the smallest unsigned
integers that hold them: everything is cast to int64 before any arithmetic. The 0-based 73K id of a
subject's trial t is subjectim[subject, masterordering[t] - 1] - 1.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from afterimage.datasets.nsd_fetch import FETCH, REPLACE
from afterimage.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Design:
    """All trials that were designed, scanned or not, in the order of showing.

    Attributes
    ----------
    image : (n_trials,) int64, 0-based 73K id
    place : (n_trials,) int64, 0-based position among the subject's own 10,000 images
    session, run : (n_trials,) int64, counted from 1
    shared : (n_shared,) int64, 0-based 73K ids of the images that every subject saw
    """

    image: np.ndarray
    place: np.ndarray
    session: np.ndarray
    run: np.ndarray
    shared: np.ndarray


def read_design(path: str | Path, subject: int, trials_per_session: int | None = None) -> Design:
    """Read the design of one subject (1 to 8).

    Raises
    ------
    InputError
        if the file is broken, counts from 0, or its parts contradict each other
    """
    arrays = _load(path)
    ordering = arrays["masterordering"].ravel()
    images = arrays["subjectim"]
    shared = arrays["sharedix"].ravel()
    pattern = arrays["stimpattern"]
    if images.ndim != 2 or subject > images.shape[0]:
        raise InputError(path, f"subjectim with a row for subject {subject}", f"{images.shape}")
    _count_from_one(path, "masterordering", ordering, images.shape[1])
    _count_from_one(path, "subjectim", images, None)
    _count_from_one(path, "sharedix", shared, None)
    own = images[subject - 1]
    if len(np.unique(own)) != len(own):
        raise InputError(path, f"subjectim row {subject} with each image once", "repeated images")
    if not np.array_equal(np.sort(own[: len(shared)]), np.sort(shared)):
        raise InputError(
            path, f"the first {len(shared)} images of subjectim to be sharedix", "other images"
        )
    session, run = _sessions_and_runs(path, pattern, len(ordering), trials_per_session)
    return Design(own[ordering - 1] - 1, ordering - 1, session, run, shared - 1)


def _load(path: str | Path) -> dict[str, np.ndarray]:
    from scipy.io import loadmat

    names = ("masterordering", "subjectim", "sharedix", "stimpattern")
    if not Path(path).is_file():
        raise InputError(path, "NSD's experiment design", "nothing", FETCH)
    try:
        content = loadmat(path, variable_names=names)
    except Exception as error:  # scipy raises many kinds for files that are no MAT file
        raise InputError(path, "a MAT file", f"{type(error).__name__}: {error}", REPLACE) from None
    for name in names:
        if name not in content:
            raise InputError(path, f"an array {name}", "none")
        if content[name].dtype.kind not in "uif" or not content[name].size:
            raise InputError(path, f"{name} as numbers", f"{content[name].dtype}")
        if not (content[name] == np.rint(content[name])).all():
            raise InputError(path, f"whole numbers in {name}", "others", REPLACE)
    return {name: np.asarray(content[name]).astype(np.int64) for name in names}


def _count_from_one(path: str | Path, name: str, values: np.ndarray, most: int | None) -> None:
    if values.min() < 1:
        raise InputError(path, f"{name} counted from 1", f"the value {values.min()}")
    if most is not None and values.max() > most:
        raise InputError(path, f"{name} up to {most}", f"the value {values.max()}")


def _sessions_and_runs(
    path: str | Path, pattern: np.ndarray, n_trials: int, trials_per_session: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Session and run of every trial, from the pattern (sessions, runs, slots) of pictures."""
    if pattern.ndim != 3:
        raise InputError(path, "stimpattern (sessions, runs, slots)", f"{pattern.shape}")
    per_run = (pattern > 0).sum(axis=2)
    per_session = np.unique(per_run.sum(axis=1))
    wanted = trials_per_session or n_trials // len(pattern)
    if list(per_session) != [wanted] or wanted * len(pattern) != n_trials:
        raise InputError(
            path,
            f"{wanted} trials in each of {len(pattern)} sessions",
            f"{n_trials} trials, {', '.join(map(str, per_session))} in a session",
        )
    session = np.repeat(np.arange(1, len(pattern) + 1), wanted)
    run = np.concatenate([np.repeat(np.arange(1, len(row) + 1), row) for row in per_run])
    return session, run


def require_sessions(design: Design, sessions: list[int]) -> None:
    """Raise InputError if the design ends before the last of some sessions."""
    if sessions[-1] > design.session[-1]:
        raise InputError(
            "datasets: sessions", f"at most the design's {design.session[-1]}", f"{sessions[-1]}"
        )


def trial_table(design: Design, sessions: list[int], part_names: list[str]) -> "pd.DataFrame":
    """The trials of some sessions, as `Dataset.trials` describes them.

    Raises
    ------
    InputError
        if the design ends before the last session
    """
    import pandas as pd

    require_sessions(design, sessions)
    trial = np.flatnonzero(np.isin(design.session, sessions))
    session = design.session[trial]
    first = np.searchsorted(design.session, session)
    image = design.image[trial]
    return pd.DataFrame(
        {
            "trial": trial.astype(np.int64),
            "session": session,
            "run": design.run[trial],
            "part": np.array(part_names)[np.searchsorted(sessions, session)],
            "row": (trial - first).astype(np.int64),
            "image_id": image.astype(str),
            "official": np.where(np.isin(image, design.shared), "test", "train"),
        }
    )


def compare_with_responses(path: str | Path, design: Design, sessions: list[int]) -> str:
    """Check `responses.tsv`, a row per trial that was run, against the design.

    Its 73KID and 10KID count from 1. Extra columns, and sessions after the wanted ones, are
    ignored.

    Returns
    -------
    what was found, in words

    Raises
    ------
    InputError
        at the first row that contradicts the design, or if a wanted session is not there
    """
    import pandas as pd

    columns = ["SESSION", "RUN", "73KID", "10KID"]
    try:
        table = pd.read_csv(path, sep="\t", usecols=lambda name: name in columns)
        table = table.reindex(columns=columns)
        missing = [name for name in columns if table[name].isna().all()]
        if missing:
            raise InputError(
                path, f"tab-separated columns {', '.join(columns)}", f"no {missing[0]}"
            )
        table = table.astype(np.int64)
    except (ValueError, UnicodeDecodeError, OSError) as error:
        raise InputError(path, "whole numbers in tab-separated columns", str(error)) from None
    session = table["SESSION"].to_numpy()
    absent = np.setdiff1d(sessions, session)
    if len(absent):
        raise InputError(
            path, f"sessions {sessions[0]} to {sessions[-1]}", f"no session {absent[0]}",
            f"Set n_sessions to the {len(np.unique(session))} that there are.",
        )  # fmt: skip
    kept = np.isin(session, sessions)
    trial = np.flatnonzero(np.isin(design.session, sessions))
    if kept.sum() != len(trial):
        raise InputError(path, f"{len(trial)} rows in the wanted sessions", f"{kept.sum()}")
    expected = {
        "SESSION": design.session[trial],
        "RUN": design.run[trial],
        "73KID": design.image[trial] + 1,
        "10KID": design.place[trial] + 1,
    }
    for name, values in expected.items():
        found = table[name].to_numpy()[kept]
        if np.array_equal(found, values):
            continue
        first = int(np.flatnonzero(found != values)[0])
        shifted = np.array_equal(found, values - 1)
        raise InputError(
            path,
            f"{name} {values[first]} in row {first} as in nsd_expdesign.mat",
            f"{found[first]}" + (" (the column counts from 0, not from 1)" if shifted else ""),
        )
    return f"{kept.sum():,} trials, as in the design"
