"""The pictures of the demo: scenes drawn by code, and the captions that the same grammar gives.

A scene is a place (grass, water, sand, snow, night) with one or two things in it, each of a kind
and a colour. Everything that a caption says can be seen, and every draw comes from the generator
that is passed in.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

RGB = tuple[int, int, int]

COLOURS: dict[str, tuple[RGB, RGB]] = {
    "red": ((220, 45, 40), (150, 25, 25)),
    "orange": ((245, 140, 30), (185, 95, 15)),
    "yellow": ((250, 220, 50), (200, 165, 25)),
    "green": ((40, 160, 70), (20, 105, 45)),
    "blue": ((40, 90, 215), (20, 50, 140)),
    "purple": ((140, 60, 180), (90, 35, 120)),
    "white": ((245, 245, 245), (175, 178, 185)),
    "black": ((28, 28, 32), (85, 85, 92)),
}
"""Name of a colour -> its main and its darker (for black: lighter) shade."""

PLACES: dict[str, tuple[RGB, RGB]] = {
    "grass": ((150, 205, 245), (95, 175, 85)),
    "water": ((200, 230, 250), (35, 110, 190)),
    "sand": ((253, 234, 196), (222, 184, 118)),
    "snow": ((190, 205, 228), (240, 244, 249)),
    "night": ((32, 34, 78), (56, 66, 72)),
}
"""Name of a place -> the colours of its sky and its ground."""

CLASHES = {"grass": "green", "water": "blue", "sand": "yellow", "snow": "white", "night": "black"}
"""The one colour that cannot be told from a place's ground, and so never stands on it."""

DEFINITIONS = {
    "house": "a building where people live",
    "tree": "a tall plant with a trunk and leaves",
    "car": "a road vehicle with four wheels",
    "boat": "a small vessel that sails on water",
    "ball": "a round toy that is thrown or kicked",
    "star": "a shape with five points",
    "kite": "a light frame flown in the wind",
    "mushroom": "a fungus with a stem and a cap",
    "fish": "an animal with fins that swims",
    "cup": "a small open vessel for drinking",
}
"""Kind of thing -> its definition, as a dictionary of concepts would give it."""

KINDS = tuple(DEFINITIONS)

WHERE = {
    "grass": ("on grass", "in a meadow"),
    "water": ("on water", "at sea"),
    "sand": ("on sand", "on a beach"),
    "snow": ("on snow", "in winter"),
    "night": ("at night", "in the dark"),
}

_BROWN: RGB = (110, 75, 45)
_BEIGE: RGB = (225, 205, 170)
_GLASS: RGB = (185, 215, 235)
_TYRE: RGB = (25, 25, 25)


@dataclass(frozen=True)
class Thing:
    """One thing in a scene: centre and half-width as fractions of the picture's side."""

    kind: str
    colour: str
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Scene:
    """A place, the height of its horizon (fraction from the top), and one or two things."""

    place: str
    horizon: float
    things: tuple[Thing, ...]


def sample_scene(
    rng: np.random.Generator, n_things: int | None = None, kind: str | None = None
) -> Scene:
    """Draw a scene: one or two things (two in 40 % of scenes), left to right."""
    if n_things is None:
        n_things = 2 if rng.random() < 0.4 else 1
    place = str(rng.choice(list(PLACES)))
    colours = [name for name in COLOURS if name != CLASHES[place]]
    if n_things == 1:
        spots = [(rng.uniform(0.3, 0.7), rng.uniform(0.45, 0.6), rng.uniform(0.24, 0.32))]
    else:
        spots = [
            (rng.uniform(0.22, 0.28), rng.uniform(0.45, 0.62), rng.uniform(0.18, 0.22)),
            (rng.uniform(0.72, 0.78), rng.uniform(0.45, 0.62), rng.uniform(0.18, 0.22)),
        ]
    things = tuple(
        Thing(kind or str(rng.choice(KINDS)), str(rng.choice(colours)), *spot) for spot in spots
    )
    return Scene(place, float(rng.uniform(0.48, 0.66)), things)


def captions(scene: Scene, rng: np.random.Generator, n: int) -> list[str]:
    """Describe a scene n times, in words that vary: at most 13 words each."""
    return [_caption(scene, rng) for _ in range(n)]


def _caption(scene: Scene, rng: np.random.Generator) -> str:
    where = str(rng.choice(WHERE[scene.place]))
    names = [
        f"{'an' if thing.colour[0] in 'aeiou' else 'a'} {thing.colour} {thing.kind}"
        for thing in scene.things
    ]
    if len(names) == 2:
        link = str(rng.choice(["and", "beside", "next to", "left of"]))
        return f"{names[0]} {link} {names[1]} {where}"
    x = scene.things[0].x
    side = "on the left" if x < 0.43 else "on the right" if x > 0.57 else "in the middle"
    forms = [f"{names[0]} {where}", f"{names[0]} {side} {where}", f"there is {names[0]} {where}"]
    return str(rng.choice(forms))


def vocabulary() -> list[str]:
    """Every word that captions and definitions can hold, sorted."""
    text = [*COLOURS, *KINDS, *DEFINITIONS.values(), *(p for pair in WHERE.values() for p in pair)]
    text += ["a and beside next to left of on the right in the middle there is"]
    return sorted({word for phrase in text for word in phrase.split()})


def draw(scene: Scene, size: int) -> np.ndarray:
    """Paint a scene.

    Returns
    -------
    array of uint8, shape (size, size, 3), RGB
    """
    from PIL import Image, ImageDraw

    fine = size * 3
    sky, ground = PLACES[scene.place]
    image = Image.new("RGB", (fine, fine), sky)
    pen = ImageDraw.Draw(image)
    pen.rectangle([0, scene.horizon * fine, fine, fine], fill=ground)
    for thing in scene.things:
        _DRAWERS[thing.kind](_Pen(pen, thing, fine), *COLOURS[thing.colour])
    return np.asarray(image.resize((size, size), Image.Resampling.BOX))


class _Pen:
    """Draws in a thing's own coordinates, -1 to 1 across its width."""

    def __init__(self, pen, thing: Thing, size: int) -> None:
        self.pen = pen
        self.centre = np.array([thing.x, thing.y]) * size
        self.radius = thing.radius * size

    def _at(self, points) -> list[tuple[float, float]]:
        return [tuple(self.centre + self.radius * np.asarray(p)) for p in points]

    def polygon(self, *points, fill: RGB) -> None:
        self.pen.polygon(self._at(points), fill=fill)

    def box(self, left, top, right, bottom, fill: RGB) -> None:
        self.pen.rectangle(self._at([(left, top), (right, bottom)]), fill=fill)

    def disc(self, left, top, right, bottom, fill: RGB) -> None:
        self.pen.ellipse(self._at([(left, top), (right, bottom)]), fill=fill)

    def upper_half_disc(self, left, top, right, bottom, fill: RGB) -> None:
        self.pen.pieslice(self._at([(left, top), (right, bottom)]), 180, 360, fill=fill)

    def ring(self, left, top, right, bottom, width, fill: RGB) -> None:
        box = self._at([(left, top), (right, bottom)])
        self.pen.ellipse(box, outline=fill, width=max(1, round(width * self.radius)))


def _house(pen: _Pen, main: RGB, dark: RGB) -> None:
    pen.box(-0.7, -0.1, 0.7, 0.9, fill=main)
    pen.polygon((-0.98, -0.08), (0, -0.95), (0.98, -0.08), fill=dark)
    pen.box(-0.2, 0.35, 0.2, 0.9, fill=_BROWN)


def _tree(pen: _Pen, main: RGB, dark: RGB) -> None:
    pen.box(-0.16, 0.2, 0.16, 0.98, fill=_BROWN)
    pen.polygon((0, -0.98), (-0.6, -0.1), (0.6, -0.1), fill=main)
    pen.polygon((0, -0.55), (-0.8, 0.5), (0.8, 0.5), fill=main)


def _car(pen: _Pen, main: RGB, dark: RGB) -> None:
    pen.polygon((-0.62, 0.0), (-0.38, -0.5), (0.4, -0.5), (0.66, 0.0), fill=dark)
    pen.polygon((-0.42, -0.02), (-0.27, -0.38), (0.3, -0.38), (0.45, -0.02), fill=_GLASS)
    pen.box(-1.0, -0.02, 1.0, 0.48, fill=main)
    for x in (-0.55, 0.55):
        pen.disc(x - 0.3, 0.2, x + 0.3, 0.8, fill=_TYRE)


def _boat(pen: _Pen, main: RGB, dark: RGB) -> None:
    pen.polygon((0.02, -0.95), (0.02, 0.3), (0.85, 0.3), fill=main)
    pen.polygon((-0.1, -0.7), (-0.1, 0.3), (-0.7, 0.3), fill=main)
    pen.polygon((-0.98, 0.4), (0.98, 0.4), (0.6, 0.9), (-0.6, 0.9), fill=dark)


def _ball(pen: _Pen, main: RGB, dark: RGB) -> None:
    pen.disc(-0.85, -0.85, 0.85, 0.85, fill=dark)
    pen.disc(-0.7, -0.7, 0.7, 0.7, fill=main)


def _star(pen: _Pen, main: RGB, dark: RGB) -> None:
    angles = np.pi * (np.arange(10) / 5 - 0.5)
    lengths = np.where(np.arange(10) % 2, 0.42, 1.0)
    pen.polygon(
        *zip(lengths * np.cos(angles), lengths * np.sin(angles) + 0.05, strict=True), fill=main
    )


def _kite(pen: _Pen, main: RGB, dark: RGB) -> None:
    pen.polygon((-0.04, 0.5), (0.04, 0.5), (0.34, 0.98), (0.22, 0.98), fill=dark)
    pen.polygon((0, -0.98), (0.65, -0.2), (0, 0.65), fill=dark)
    pen.polygon((0, -0.98), (-0.65, -0.2), (0, 0.65), fill=main)


def _mushroom(pen: _Pen, main: RGB, dark: RGB) -> None:
    pen.box(-0.24, -0.05, 0.24, 0.92, fill=_BEIGE)
    pen.upper_half_disc(-0.95, -0.85, 0.95, 0.85, fill=main)


def _fish(pen: _Pen, main: RGB, dark: RGB) -> None:
    pen.polygon((0.3, 0), (0.98, -0.55), (0.98, 0.55), fill=dark)
    pen.disc(-0.98, -0.5, 0.55, 0.5, fill=main)
    pen.disc(-0.72, -0.22, -0.5, 0.0, fill=_TYRE if main[0] > 60 else _BEIGE)


def _cup(pen: _Pen, main: RGB, dark: RGB) -> None:
    pen.ring(0.2, -0.45, 0.95, 0.35, 0.17, fill=dark)
    pen.polygon((-0.75, -0.7), (0.55, -0.7), (0.4, 0.8), (-0.6, 0.8), fill=main)


_DRAWERS: dict[str, Callable[[_Pen, RGB, RGB], None]] = {
    "house": _house,
    "tree": _tree,
    "car": _car,
    "boat": _boat,
    "ball": _ball,
    "star": _star,
    "kite": _kite,
    "mushroom": _mushroom,
    "fish": _fish,
    "cup": _cup,
}
