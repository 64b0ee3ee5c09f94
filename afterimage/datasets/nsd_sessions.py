"""Which sessions a subject of NSD has, and how the config chooses among them."""

from collections.abc import Mapping
from typing import Any

from afterimage.errors import InputError

# Sessions each subject took part in. The last three of every subject were kept back at first and
# released later: before that, subjects had three sessions less.
COLLECTED = {1: 40, 2: 40, 3: 32, 4: 30, 5: 40, 6: 32, 7: 40, 8: 30}
# Sessions of the studies that this one is compared with; subjects with fewer give what they have.
REPORTED = (1, 37)


def subject_number(subject: str) -> int:
    """1 to 8 from `subj01` to `subj08`."""
    if len(subject) != 6 or not subject.startswith("subj") or not subject[4:].isdigit():
        raise InputError("datasets: subjects", "NSD subjects as subj01 to subj08", repr(subject))
    number = int(subject[4:])
    if number not in COLLECTED:
        raise InputError("datasets: subjects", "NSD subjects as subj01 to subj08", repr(subject))
    return number


def available(settings: Mapping[str, Any], subject: str) -> int:
    """Number of sessions the subject has.

    In this order: `simulate.sessions` of simulated data, `n_sessions` of the config (a number, or
    one by subject: for a copy without the sessions released last), the release's own number.
    """
    number = subject_number(subject)
    simulated = (settings.get("simulate") or {}).get("sessions")
    if isinstance(simulated, int):
        return simulated
    stated = settings.get("n_sessions")
    if isinstance(stated, Mapping):
        stated = stated.get(subject)
    return COLLECTED[number] if stated is None else int(stated)


def sessions_of(settings: Mapping[str, Any], subject: str) -> list[int]:
    """The subject's sessions (1-based) inside the config's inclusive range, by default 1 to 37.

    Raises
    ------
    InputError
        if the range is not one, or the subject has no session in it
    """
    last_there_is = available(settings, subject)
    chosen = settings.get("sessions") or REPORTED
    if len(chosen) != 2 or not 1 <= chosen[0] <= chosen[1]:
        raise InputError("datasets: sessions", "[first, last], counted from 1", str(chosen))
    sessions = list(range(chosen[0], min(chosen[1], last_there_is) + 1))
    if not sessions:
        raise InputError(
            "datasets: sessions", f"some of {subject}'s {last_there_is} sessions", str(chosen)
        )
    return sessions


def part_of(session: int) -> str:
    """The name of a session's part."""
    return f"session{session:02d}"


def session_of(part: str) -> int:
    """The session of a part's name."""
    return int(part.removeprefix("session"))
