"""Decoders from brain responses to latents: one file a kind, found by the file's name.

A kind is a module in this folder that defines a class `Decoder` and a dataclass `Settings`, both as
`interface` describes. Importing this package imports neither torch nor any kind.
"""

import ast
import importlib
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afterimage.errors import InputError, closest

if TYPE_CHECKING:
    from afterimage.decoders.interface import Decoder, Graph, Shapes

KIND = re.compile(r"^class Decoder\((?!ABC)", re.MULTILINE)


def kinds() -> list[str]:
    """Names of all decoder kinds, read from their files without importing them."""
    return sorted(_kind_files())


def settings_of(kind: str) -> dict[str, Any]:
    """A kind's hyper-parameters and their defaults, read from its file without importing it.

    Raises
    ------
    InputError
        if there is no such kind
    """
    from afterimage.decoders.interface import TrainingSettings

    shared = {field.name: field.default for field in fields(TrainingSettings)}
    settings = _class_in(_existing_file(kind), "Settings")
    bases = [base.id for base in settings.bases if isinstance(base, ast.Name)]
    own = {
        line.target.id: ast.literal_eval(line.value)
        for line in settings.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.value
    }
    return {**(shared if "TrainingSettings" in bases else {}), **own}


def check_settings(values: Mapping[str, Any], where: str = "decoder") -> str:
    """Check a config entry {kind, hyper-parameters...}; give its kind.

    Raises
    ------
    InputError
        for an unknown kind, an unknown hyper-parameter or a value of the wrong type
    """
    kind = str(values.get("kind", ""))
    _existing_file(kind, f"{where}.kind")
    defaults = settings_of(kind)
    for name, value in values.items():
        if name == "kind":
            continue
        if name not in defaults:
            hint = closest(name, list(defaults))
            raise InputError(where, f"a setting of kind {kind!r}", repr(name), hint)
        if not _same_type(value, defaults[name]):
            wanted = type(defaults[name]).__name__
            raise InputError(f"{where}.{name}", f"a value of type {wanted}", repr(value))
    return kind


def needs_graph(kind: str) -> bool:
    """Whether a kind is built over the subject's graph, read from its file without importing it."""
    return any(
        isinstance(line, ast.Assign)
        and ast.unparse(line.targets[0]) == "needs_graph"
        and ast.literal_eval(line.value)
        for line in _class_in(_existing_file(kind), "Decoder").body
    )


def load_kind(kind: str) -> "type[Decoder]":
    """Import a kind's file and give its decoder class."""
    _existing_file(kind)
    return importlib.import_module(f"{__name__}.{kind}").Decoder


def make(values: Mapping[str, Any], shapes: "Shapes", graph: "Graph | None" = None) -> "Decoder":
    """Build an untrained decoder from a config entry {kind, hyper-parameters...}.

    Raises
    ------
    InputError
        for a bad entry, or if the kind needs a graph and there is none
    """
    decoder = load_kind(check_settings(values))
    given = {name: _hashable(value) for name, value in values.items() if name != "kind"}
    if decoder.needs_graph and graph is None:
        raise InputError("decoder", f"a graph for kind {values['kind']!r}", "none")
    return decoder(decoder.settings_type(**given), shapes, graph if decoder.needs_graph else None)


def _kind_files() -> dict[str, Path]:
    # The base class in interface.py is `class Decoder(ABC)`: a kind is never itself abstract.
    files = (file for folder in __path__ for file in Path(folder).glob("*.py"))
    return {file.stem: file for file in files if re.search(KIND, file.read_text())}


def _existing_file(kind: str, where: str = "decoder kind") -> Path:
    files = _kind_files()
    if kind not in files:
        raise InputError(where, "a decoder kind", repr(kind), closest(kind, list(files)))
    return files[kind]


def _class_in(file: Path, name: str) -> ast.ClassDef:
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
    raise InputError(file, f"a class named {name}", "none")


def _same_type(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    if isinstance(default, tuple | list):
        return isinstance(value, tuple | list)
    return isinstance(value, type(default))


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
