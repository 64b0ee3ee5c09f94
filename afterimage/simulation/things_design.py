"""The experiment of THINGS-fMRI, small: training pictures once, test pictures once a session."""

from dataclasses import dataclass

import numpy as np

from afterimage.errors import InputError
from afterimage.simulation.scenes import KINDS


@dataclass(frozen=True)
class Picture:
    """One picture of the experiment: its concept, its name without ending, and its part."""

    concept: str
    name: str
    part: str


@dataclass(frozen=True)
class Trial:
    """One trial: session and run from 1."""

    session: int
    run: int
    picture: Picture


def name_pictures(n_train: int, n_test: int) -> list[Picture]:
    """The experiment's pictures: concepts in turn, training pictures numbered before test ones.

    A name is `<concept>_<number><letter>`, `b` for a concept's first picture.
    """
    pictures, numbers = [], dict.fromkeys(KINDS, 0)
    for part, count in (("train", n_train), ("test", n_test)):
        for index in range(count):
            concept = KINDS[index % len(KINDS)]
            numbers[concept] += 1
            letter = "b" if numbers[concept] == 1 else "ns"[numbers[concept] % 2]
            pictures.append(Picture(concept, f"{concept}_{numbers[concept]:02d}{letter}", part))
    return pictures


def build_trials(
    pictures: list[Picture], n_sessions: int, n_runs: int, rng: np.random.Generator
) -> list[Trial]:
    """A subject's trials in order: every run holds as many test pictures, in random places.

    Raises
    ------
    InputError
        if the pictures do not divide into the sessions' runs
    """
    train = [picture for picture in pictures if picture.part == "train"]
    test = [picture for picture in pictures if picture.part == "test"]
    if not train or len(train) % (n_sessions * n_runs):
        raise InputError(
            "simulate.train_images", f"a multiple of {n_sessions * n_runs} runs", str(len(train))
        )
    if not test or len(test) % n_runs:
        raise InputError("simulate.test_images", f"a multiple of {n_runs} runs", str(len(test)))
    new = np.array_split(rng.permutation(len(train)), n_sessions * n_runs)
    trials = []
    for session in range(n_sessions):
        again = np.array_split(rng.permutation(len(test)), n_runs)
        for run in range(n_runs):
            shown = [train[index] for index in new[session * n_runs + run]]
            shown += [test[index] for index in again[run]]
            order = rng.permutation(len(shown))
            trials += [Trial(session + 1, run + 1, shown[index]) for index in order]
    return trials
