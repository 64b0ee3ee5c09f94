"""Decoders from brain responses to latents: one file a kind, found by the file's name.

A kind is a module in this folder that defines a class `Decoder` and a dataclass `Settings`, both as
`interface` describes. Importing this package imports neither torch nor any kind.
"""

import ast
import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afterimage.decoders.limits import check_value
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
    return _read_settings(_existing_file(kind), "Settings")[0]


def check_settings(values: Mapping[str, Any], where: str = "decoder") -> str:
    """Check a config entry {kind, hyper-parameters...}; give its kind.

    Raises
    ------
    InputError
        for an unknown kind, an unknown hyper-parameter or a value that it cannot have
    """
    kind = str(values.get("kind", ""))
    defaults, limits = _read_settings(_existing_file(kind, f"{where}.kind"), "Settings")
    for name, value in values.items():
        if name == "kind":
            continue
        if name not in defaults:
            hint = closest(name, list(defaults))
            raise InputError(where, f"a setting of kind {kind!r}", repr(name), hint)
        check_value(f"{where}.{name}", value, defaults[name], limits.get(name, {}))
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


def _read_settings(file: Path, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Defaults and limits of a dataclass of hyper-parameters, inherited ones first.

    Its bases are other such classes, imported from files of this package.
    """
    settings = _class_in(file, name)
    defaults: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    for base in settings.bases:
        inherited = _read_settings(*_imported(file, ast.unparse(base)))
        defaults, limits = inherited[0] | defaults, inherited[1] | limits
    for line in settings.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.value:
            values = ast.literal_eval(line.value)
            if line.target.id == "limits":
                limits |= values
            else:
                defaults[line.target.id] = values
    return defaults, limits


def _imported(file: Path, name: str) -> tuple[Path, str]:
    """The package's file that a class comes from, and the class's name there."""
    for line in ast.parse(file.read_text()).body:
        if isinstance(line, ast.ImportFrom) and (line.module or "").startswith(f"{__name__}."):
            for alias in line.names:
                stem = str(line.module).removeprefix(f"{__name__}.")
                paths = [Path(folder) / f"{stem}.py" for folder in __path__]
                if name == (alias.asname or alias.name) and any(map(Path.exists, paths)):
                    return next(filter(Path.exists, paths)), alias.name
    wanted = f"the base {name} of its Settings imported by name from a file of {__name__}"
    raise InputError(file, wanted, "no such import")


def _class_in(file: Path, name: str) -> ast.ClassDef:
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
    raise InputError(file, f"a class named {name}", "none")


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
