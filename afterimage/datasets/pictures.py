"""Reading picture files, and seeing without decoding them that they are whole."""

from pathlib import Path

import numpy as np

from afterimage.errors import InputError

ENDINGS = (".png", ".jpg", ".jpeg")
KEPT_MODES = ("RGB", "RGBA", "L", "LA", "P", "1", "CMYK")


def read_picture(path: str | Path) -> np.ndarray:
    """Read a picture as (height, width, 3) uint8; grey becomes three equal channels."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            if picture.mode not in KEPT_MODES:
                raise InputError(path, "8 bits a channel", f"mode {picture.mode}")
            return np.asarray(picture.convert("RGB"), dtype=np.uint8)
    except FileNotFoundError:
        raise InputError(path, "a picture", "nothing") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(path, "a readable picture", str(error).replace("\n", " ")) from None


def look_at_picture(path: Path) -> None:
    """Raise InputError if a file is not a picture or was cut short: header and last bytes only.

    A picture whose end is not where it should be is decoded: some files go on after their end.
    """
    from PIL import Image

    try:
        with Image.open(path) as picture:
            kind, mode = picture.format, picture.mode
        with open(path, "rb") as stream:
            stream.seek(max(0, path.stat().st_size - 64))
            tail = stream.read()
    except FileNotFoundError:
        raise InputError(path, "a picture", "nothing") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(path, "a readable picture", str(error).replace("\n", " ")) from None
    if mode not in KEPT_MODES:
        raise InputError(path, "8 bits a channel", f"mode {mode}")
    marker = {"PNG": b"IEND", "JPEG": b"\xff\xd9"}.get(str(kind))
    if marker and marker not in tail:
        read_picture(path)


def look_at_pictures(paths: list[Path]) -> str:
    """Look at many pictures, stopping at the first that is missing or broken."""
    for path in paths:
        look_at_picture(path)
    return f"{len(paths):,} pictures"
