"""Reading picture files, and seeing without decoding them that they are whole."""

from pathlib import Path

import numpy as np

from afterimage.errors import InputError

ENDINGS = (".png", ".jpg", ".jpeg")
REMEDY = "Fetch the picture again."
GAP = bytes(4096)
SAMPLED = 24
KEPT_MODES = ("RGB", "RGBA", "L", "LA", "P", "1", "CMYK")


def read_picture(path: str | Path) -> np.ndarray:
    """Read a picture as (height, width, 3) uint8; grey becomes three equal channels."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            if picture.mode not in KEPT_MODES:
                raise InputError(path, "8 bits a channel", f"mode {picture.mode}")
            pixels = np.asarray(picture.convert("RGB"), dtype=np.uint8)
            if picture.format == "JPEG":
                _require_no_gap(Path(path))
            return pixels
    except FileNotFoundError:
        raise InputError(path, "a picture", "nothing") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(path, "a readable picture", str(error).replace("\n", " ")) from None


def _require_no_gap(path: Path) -> None:
    """Raise InputError if there are zeros inside a JPEG's pixels or in the place of its end.

    A decoder takes zeros for pixels; compressed ones never have so many. Padding after the end is
    no harm.
    """
    content = path.read_bytes()
    pixels = content[content.rfind(b"\xff\xda") :].rstrip(b"\0")
    if GAP in pixels or (content.endswith(GAP) and not pixels.endswith(b"\xff\xd9")):
        raise InputError(path, "a whole picture", "zeros inside: a copy broke off", REMEDY)


def look_at_picture(path: Path) -> None:
    """Raise InputError if a file is no whole picture: header, a middle block and the last bytes.

    A picture whose end is not where it should be is decoded: some files go on after their end.
    """
    from PIL import Image

    try:
        with Image.open(path) as picture:
            kind, mode = picture.format, picture.mode
        size = path.stat().st_size
        with open(path, "rb") as stream:
            stream.seek(size // 2)
            middle = stream.read(len(GAP))
            stream.seek(max(0, size - 64))
            tail = stream.read()
    except FileNotFoundError:
        raise InputError(path, "a picture", "nothing") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(path, "a readable picture", str(error).replace("\n", " ")) from None
    if mode not in KEPT_MODES:
        raise InputError(path, "8 bits a channel", f"mode {mode}")
    marker = {"PNG": b"IEND", "JPEG": b"\xff\xd9"}.get(str(kind))
    if middle == GAP or (marker and marker not in tail):
        read_picture(path)


def look_at_pictures(paths: list[Path], photographs: bool = False) -> str:
    """Look at many pictures, stopping at the first that is missing or broken.

    Parameters
    ----------
    photographs : some are decoded as well: a photograph is not one colour all over
    """
    for path in paths:
        look_at_picture(path)
    if photographs:
        chosen = np.linspace(0, len(paths) - 1, min(SAMPLED, len(paths))).astype(int)
        for path in [paths[number] for number in chosen]:
            pixels = read_picture(path)
            if (pixels == pixels[0, 0]).all():
                raise InputError(path, "a photograph", "one colour all over", REMEDY)
    return f"{len(paths):,} pictures"
