"""Which versions of the libraries that compute are installed."""

import platform
from contextlib import suppress

LIBRARIES = (
    "diffusers",
    "himalaya",
    "numpy",
    "safetensors",
    "scipy",
    "torch",
    "torch-geometric",
    "transformers",
)


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries, as far as they are installed."""
    from importlib import metadata

    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
