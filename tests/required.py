"""What a test needs of its machine: told where it is missing, and in CI a failure."""

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip the test with the reason; with CI=true fail, as there it was to be provided."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must provide this: {what}", pytrace=False)
    pytest.skip(what)
