"""Which values a hyper-parameter may have, in the words of its kind's `Settings.limits`.

`limits` maps names to literals of these words, so that they are read without importing the kind:

    least      no number is below it
    above      every number is above it
    odd        True: numbers are odd
    length     of a list
    ascending  True: a list's first number is the lowest
    choices    the values that there are

Of a list, numbers are its items. Floats are finite in any case.
"""

import math
from collections.abc import Mapping
from typing import Any

from afterimage.errors import InputError


def check_value(where: str, value: Any, default: Any, limits: Mapping[str, Any]) -> None:
    """Check a hyper-parameter's value.

    Parameters
    ----------
    default : decides the type, of a list's items too
    limits : words of this module's docstring

    Raises
    ------
    InputError
        for a value of another type than the default's, or outside its limits
    """
    if not _same_type(value, default):
        raise InputError(where, f"a value of type {type(default).__name__}", repr(value))
    items = value if isinstance(default, tuple) else [value]
    if isinstance(default, tuple) and not all(_same_type(item, default[0]) for item in items):
        raise InputError(where, f"a list of {type(default[0]).__name__}", repr(value))
    if not _fits(items, limits):
        raise InputError(where, _said(limits, isinstance(default, tuple)), repr(value))


def _same_type(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    if isinstance(default, tuple):
        return isinstance(value, tuple | list)
    return isinstance(value, type(default))


def _fits(items: Any, limits: Mapping[str, Any]) -> bool:
    if any(isinstance(item, float) and not math.isfinite(item) for item in items):
        return False
    return (
        all(item >= limits.get("least", item) for item in items)
        and all(item > limits["above"] for item in items if "above" in limits)
        and all(item % 2 == 1 for item in items if "odd" in limits)
        and len(items) == limits.get("length", len(items))
        and ("ascending" not in limits or list(items) == sorted(items))
        and all(item in limits["choices"] for item in items if "choices" in limits)
    )


def _said(limits: Mapping[str, Any], several: bool) -> str:
    """What was expected, in words."""
    if "choices" in limits:
        return f"one of {', '.join(limits['choices'])}"
    odd = "odd " if "odd" in limits else ""
    kind = (
        f"{limits.get('length', 'a list of')} {odd}numbers"
        if several
        else f"an {odd}number"
        if odd
        else "a finite number"
    )
    bounds = [f"of at least {limits['least']}"] if "least" in limits else []
    bounds += [f"above {limits['above']}"] if "above" in limits else []
    bounds += ["in ascending order"] if "ascending" in limits else []
    return " ".join([kind, *bounds])
