"""The one kind of error that a person is meant to read."""


class InputError(Exception):
    """Bad input, said in one line: which file or setting, what was expected, what was found.

    `remedy` says what to do about it.
    """

    def __init__(self, where: object, expected: str, found: str, remedy: str = "") -> None:
        line = f"{where}: expected {expected}, found {found}"
        super().__init__(f"{line}. {remedy}" if remedy else line)


def closest(name: str, known: list[str]) -> str:
    """Say which known name was probably meant: ' Did you mean ...?', or list them all."""
    from difflib import get_close_matches

    matches = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {matches[0]!r}?" if matches else f"known: {', '.join(sorted(known))}"
