"""The experiment of NSD, small: which subject sees which picture when, and how it answers."""

from dataclasses import dataclass

import numpy as np

from afterimage.errors import InputError

SUBJECTS = 8
REPEATS = 3
RUNS = 12
SLOTS = 75
"""Stimulus slots of a run; some stay empty."""

_FIRST_SLOT = 3
_SHARE_FROM_VALIDATION = 0.04
_TRIAL_DAYS = 4.0 / 86400

RESPONSE_COLUMNS = (
    "SUBJECT SESSION RUN TRIAL 73KID 10KID TIME ISOLD ISCORRECT RT CHANGEMIND MEMORYRECENT "
    "MEMORYFIRST ISOLDCURRENT ISCORRECTCURRENT TOTAL1 TOTAL2 BUTTON MISSINGDATA"
).split()


@dataclass(frozen=True)
class Design:
    """The experiment, with the release's names, all ids counted from 1.

    Attributes
    ----------
    masterordering : int64, shape (n_trials,), a subject's own picture number, trial by trial
    subjectim : int64, shape (8, n_images), those numbers as picture ids; shared pictures first
    sharedix : int64, shape (n_shared,), ids of the shared pictures, sorted
    stimpattern : uint8, shape (n_sessions, 12, 75), 1 where a slot of a run held a picture
    n_from_validation : pictures that come from COCO's val2017; they have the lowest ids
    """

    masterordering: np.ndarray
    subjectim: np.ndarray
    sharedix: np.ndarray
    stimpattern: np.ndarray
    n_from_validation: int

    @property
    def trials_per_session(self) -> int:
        return int(self.stimpattern[0].sum())

    @property
    def n_pictures(self) -> int:
        return int(self.subjectim.max())

    def picture_ids(self, subject: int) -> np.ndarray:
        """Ids, from 0, of the pictures that a subject (from 1) sees, trial by trial."""
        return self.subjectim[subject - 1, self.masterordering - 1] - 1

    def basiccnt(self) -> np.ndarray:
        """Pictures shown once, twice and three times within each session, shape (3, sessions)."""
        sessions = self.masterordering.reshape(len(self.stimpattern), -1)
        times = [np.unique(session, return_counts=True)[1] for session in sessions]
        return np.array([[(t == k).sum() for t in times] for k in range(1, REPEATS + 1)])


def build_design(
    n_images: int,
    n_shared: int,
    trials_per_session: int,
    n_collected: int,
    rng: np.random.Generator,
) -> Design:
    """Draw an experiment in which each subject sees its pictures three times.

    The shared pictures are shown within the collected sessions, mixed with the others at random.

    Parameters
    ----------
    n_images, n_shared : pictures of each subject, and those of them that all subjects see
    n_collected : sessions that are scanned; the design may hold more

    Raises
    ------
    InputError
        if the numbers do not fit each other
    """
    n_trials = n_images * REPEATS
    n_sessions, rest = divmod(n_trials, trials_per_session)
    if rest or not 0 < n_collected <= n_sessions:
        raise InputError(
            "simulate",
            f"whole sessions of {trials_per_session} trials, at least {n_collected}",
            f"{n_trials / trials_per_session:g} sessions ({n_images} images, {REPEATS} times)",
            "Change images, sessions or trials_per_session.",
        )
    if not 0 < n_shared * REPEATS <= n_collected * trials_per_session or n_shared >= n_images:
        raise InputError("simulate.shared_images", "shared pictures that fit", str(n_shared))
    n_scanned = n_collected * trials_per_session - n_shared * REPEATS
    own = rng.permutation(np.repeat(np.arange(n_shared, n_images), REPEATS))
    shared = np.repeat(np.arange(n_shared), REPEATS)
    scanned = rng.permutation(np.concatenate([shared, own[:n_scanned]]))
    n_pictures = n_shared + SUBJECTS * (n_images - n_shared)
    n_from_validation = round(_SHARE_FROM_VALIDATION * n_pictures)
    sharedix = np.sort(rng.choice(np.arange(n_from_validation, n_pictures), n_shared, False))
    rest_of_pictures = rng.permutation(np.setdiff1d(np.arange(n_pictures), sharedix))
    subjectim = np.concatenate(
        [np.tile(sharedix, (SUBJECTS, 1)), rest_of_pictures.reshape(SUBJECTS, -1)], axis=1
    )
    return Design(
        masterordering=np.concatenate([scanned, own[n_scanned:]]) + 1,
        subjectim=subjectim + 1,
        sharedix=sharedix + 1,
        stimpattern=np.stack([_slots(trials_per_session, rng) for _ in range(n_sessions)]),
        n_from_validation=n_from_validation,
    )


def run_lengths(trials_per_session: int) -> list[int]:
    """Trials of each run; what does not divide goes to the odd runs first (63, 62, 63, ...)."""
    each, rest = divmod(trials_per_session, RUNS)
    longer = [*range(0, RUNS, 2), *range(1, RUNS, 2)][:rest]
    return [each + (run in longer) for run in range(RUNS)]


def _slots(trials_per_session: int, rng: np.random.Generator) -> np.ndarray:
    pattern = np.zeros((RUNS, SLOTS), dtype=np.uint8)
    for run, length in enumerate(run_lengths(trials_per_session)):
        n_blank = min(length // 13, SLOTS - 2 * _FIRST_SLOT - length)
        if n_blank < 0:
            raise InputError(
                "simulate.trials_per_session",
                f"at most {RUNS * (SLOTS - 2 * _FIRST_SLOT)}",
                str(trials_per_session),
            )
        used = np.arange(length + n_blank)
        blank = rng.permutation(used[1:-1])[:n_blank]
        pattern[run, _FIRST_SLOT + np.setdiff1d(used, blank)] = 1
    return pattern


def behaviour(
    design: Design, subject: int, n_sessions: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """The columns of `responses.tsv`: a continuous recognition task, mostly answered well.

    Every column has shape (n_sessions * trials_per_session,). Times are days since the first
    session's midnight, reaction times milliseconds, buttons 1 (new) and 2 (old).
    """
    per_session = design.trials_per_session
    n = n_sessions * per_session
    own = design.masterordering[:n]
    lengths = run_lengths(per_session)
    session = np.repeat(np.arange(1, n_sessions + 1), per_session)
    recent, first, old_today = _memory(own, session)
    old = ~np.isnan(recent)
    correct = rng.random(n) < np.where(old, 0.8, 0.85)
    button = np.where(old == correct, 2, 1)
    slots = [np.flatnonzero(runs.ravel()) for runs in design.stimpattern[:n_sessions]]
    start = 7 * (session - 1) + 0.5
    columns = [
        np.full(n, subject),
        session,
        np.tile(np.repeat(np.arange(1, RUNS + 1), lengths), n_sessions),
        np.tile(np.concatenate([np.arange(1, length + 1) for length in lengths]), n_sessions),
        design.picture_ids(subject)[:n] + 1,
        own,
        start + np.concatenate(slots) * _TRIAL_DAYS,
        old.astype(int),
        correct.astype(int),
        rng.gamma(12.0, 75.0, n),
        (rng.random(n) < 0.08).astype(int),
        recent,
        first,
        old_today.astype(int),
        ((button == 2) == old_today).astype(int),
        (button == 1).astype(int),
        (button == 2).astype(int),
        button,
        np.zeros(n, dtype=int),
    ]
    return dict(zip(RESPONSE_COLUMNS, columns, strict=True))


def _memory(own: np.ndarray, session: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Trials between a picture and its last and first showing, and whether it was seen today."""
    recent, first = np.full(len(own), np.nan), np.full(len(own), np.nan)
    old_today = np.zeros(len(own), dtype=bool)
    seen: dict[int, list[int]] = {}
    for trial, picture in enumerate(own.tolist()):
        before = seen.setdefault(picture, [])
        if before:
            recent[trial] = trial - before[-1] - 1
            old_today[trial] = session[before[-1]] == session[trial]
        if len(before) == 2:
            first[trial] = trial - before[0] - 1
        before.append(trial)
    return recent, first, old_today
