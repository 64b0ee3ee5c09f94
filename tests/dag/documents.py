"""What the README and the pages below docs/ show: commands, links and settings."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TOOLS = ("snakemake", "make", "python")
"""Commands of this project: each that is shown is tried."""

OTHERS = ("source", "hf", "unzip", "git", "apt-get", "nvidia-smi", "scancel", "export")
"""Commands of others, which a page may show and no test runs."""

FILES = (
    "csv h5 html json md npy npz parquet py safetensors smk svg png tsv txt yaml zarr zip".split()
)


@dataclass(frozen=True)
class Shown:
    """A piece of a page: where it stands, and its text."""

    page: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """(language, content) of every block of code; the language of an indented one is ''."""
    for language, content in re.findall(r"^```(\w*)\n(.*?)^```", text, re.S | re.M):
        yield language, content
    rest = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    for content in re.findall(r"(?:(?<=\n\n)|\A)((?:    .*\n|\n(?=    ))+)", rest):
        for part in re.split(r"\n{2,}", re.sub(r"^    ", "", content, flags=re.M)):
            yield "", part


def spans(text: str) -> list[str]:
    """Every piece of code within a line; one may be broken over two."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]


def commands(page: Path) -> Iterator[Shown]:
    """Every command of a page, in blocks and within lines; comments taken off."""
    text = page.read_text(encoding="utf-8")
    for language, content in blocks(text):
        lines = re.sub(r"\\\n\s*", "", content).splitlines()
        for line in lines:
            line = re.sub(r"(^|\s+)#.*", "", line).strip()
            if line and (language in ("bash", "sh") or line.split()[0] in (*TOOLS, *OTHERS)):
                yield Shown(page.name, line)
    for span in spans(text):
        if span.split()[0] in TOOLS and len(span.split()) > 1:
            yield Shown(page.name, span)


def links(page: Path) -> Iterator[Shown]:
    """The target of every link and picture of a page that is not on the web."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not target.startswith(("https://", "http://", "mailto:")):
            yield Shown(page.name, target)


def broken(link: Shown, folder: Path) -> str:
    """Why a link of a page in `folder` leads nowhere, or ''."""
    name, _, anchor = link.text.partition("#")
    target = (folder / name) if name else folder / link.page
    if not target.exists():
        return f"{link}: no such file"
    if anchor and anchor not in anchors(target):
        return f"{link}: no such heading"
    return ""


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    heads = re.findall(r"^#+ (.+)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def settings(page: Path, schema: Mapping[str, Any]) -> Iterator[Shown]:
    """Every setting that a page names: with dots in a line, or in a block of YAML."""
    text = page.read_text(encoding="utf-8")
    first = set(schema["properties"]) | set(dataset_of(schema)["properties"])
    for span in spans(text):
        name = span.split(":")[0]
        if not re.fullmatch(r"[a-z_]+(\.[A-Za-z0-9_*{}-]+)+", name):
            continue
        if name.split(".")[0] in first and name.rsplit(".", 1)[1] not in FILES:
            yield Shown(page.name, name)
    for language, content in blocks(text):
        if language not in ("", "yaml"):
            continue
        try:
            value = yaml.safe_load(content)
        except yaml.YAMLError:
            continue
        if isinstance(value, dict) and set(value) & first:
            yield from (Shown(page.name, name) for name in names_in(value))


def names_in(value: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The dotted names of everything in nested mappings."""
    for key, inner in value.items():
        name = f"{above}.{key}".lstrip(".")
        yield name
        if isinstance(inner, Mapping):
            yield from names_in(inner, name)


def dataset_of(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of one dataset."""
    return schema["properties"]["datasets"]["additionalProperties"]


def is_setting(name: str, schema: Mapping[str, Any]) -> bool:
    """Whether the schema has a setting of this dotted name, of the config or of a dataset."""
    keys = name.split(".")
    return any(_has(keys, start, schema["$defs"]) for start in (schema, dataset_of(schema)))


def _has(keys: list[str], schema: Any, shared: Mapping[str, Any]) -> bool:
    if not keys:
        return True
    if not isinstance(schema, Mapping):
        return False
    if "$ref" in schema:
        schema = {**shared[schema["$ref"].rpartition("/")[2]], **schema}
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    if keys[0] == "*":
        inner = [*known.values(), *([others] if isinstance(others, Mapping) else [])]
        return any(_has(keys[1:], each, shared) for each in inner)
    if keys[0] in known:
        return _has(keys[1:], known[keys[0]], shared)
    if isinstance(others, Mapping):
        return _has(keys[1:], others, shared)
    # A decoder's hyper-parameters are checked by its kind; elsewhere a mapping is closed.
    return "kind" in known and len(keys) == 1
