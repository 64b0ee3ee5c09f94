"""Put the page together: sections in, one HTML file out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from afterimage.report.answers import Answer
from afterimage.report.gallery import Gallery
from afterimage.report.proof import Proof
from afterimage.report.tables import Table
from afterimage.stores import whole

HERE = Path(__file__).parent
SCRIPTS = ("page.js", "gallery.js", "viewer.js")


@dataclass
class Chart:
    """A figure on the page: its SVG, a caption to see and a description to hear."""

    name: str
    svg: str
    caption: str
    description: str


@dataclass
class Block:
    """The charts of one subject in one section."""

    subject: tuple[str, str]
    simulated: bool
    charts: list[Chart]


@dataclass
class Study:
    """One line of 'what was run': the text of each column."""

    dataset: str
    subject: str
    simulated: bool
    facts: dict[str, str]


@dataclass
class Page:
    """Everything that the template shows."""

    title: str
    studies: list[Study]
    answers: list[Answer]
    headline: Table | None
    proof: Proof | None
    glance: list[Chart]
    galleries: list[Gallery]
    catalogue: dict[str, Any]
    image_tables: list[Table]
    latent_tables: list[Table]
    dots: list[Block]
    forests: list[Block]
    curves: list[Block]
    novelty: list[Block]
    brains: list[Block]
    settings: dict[str, list[tuple[str, str]]]
    versions: list[tuple[str, str]]
    times: Table | None
    citations: list[str]
    provenance: str
    """Where the record lies, from the page; '' for none."""
    size: str
    missing: dict[str, str] = field(default_factory=dict)
    """Section -> what it would need, where it has nothing to show."""

    @property
    def facts(self) -> list[str]:
        """The columns of 'what was run', the same for every subject."""
        return list(self.studies[0].facts) if self.studies else []

    @property
    def simulated(self) -> str:
        """'all', 'some' or '' of the datasets are simulated."""
        kinds = {study.simulated for study in self.studies}
        return "" if True not in kinds else "some" if False in kinds else "all"


def render(page: Page, out: str | Path) -> None:
    """Write the page; styles, scripts and charts are inside it."""
    with whole(out) as temporary:
        temporary.write_text(render_text(page), encoding="utf-8")


def render_text(page: Page) -> str:
    """The page's HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    static = HERE / "static"
    inline: Mapping[str, str] = {
        "css": (static / "page.css").read_text(encoding="utf-8"),
        "js": "\n".join((static / name).read_text(encoding="utf-8") for name in SCRIPTS),
    }
    return environment.get_template("page.html").render(page=page, inline=inline)
