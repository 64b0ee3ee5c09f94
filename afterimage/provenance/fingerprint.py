"""A digest of the code that a rule runs, so that Snakemake reruns what an edit concerns.

The digest is over the syntax trees of the script and of every module of this repository that it
imports, directly or through others. Comments, docstrings, formatting, imports for type checkers
alone and the package's version leave it as it is. A data file beside a module (a template, a
table) counts by its bytes where the module names it, its folder or a pattern of it in a string.

What an import statement does not say cannot be seen: name modules that are looked up at run time
(`importlib`) explicitly.
"""

import ast
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

_DATA_NAME = re.compile(r"[\w*-][\w.*/-]*")


class _Module(NamedTuple):
    digest: str
    imports: tuple[str, ...]
    data: tuple[str, ...]


_modules: dict[tuple[str, int, int], _Module] = {}


def code_fingerprint(
    script: Path | str,
    root: Path | str,
    modules: Sequence[str] = (),
    without: Sequence[str] = (),
) -> str:
    """Digest of a script and of everything in the repository that it imports.

    Parameters
    ----------
    script : Python file
    root : the repository, whose packages count; installed libraries do not
    modules : dotted names of modules that the script looks up at run time
    without : dotted names of modules, and paths of data files below the root, that a job of it does
        not use though an import or a string names them

    Returns
    -------
    16 hexadecimal digits, equal wherever the repository stands
    """
    top = os.path.abspath(root)
    ours = {name.removesuffix(".py") for name in os.listdir(top)}
    seen: dict[str, str] = {}
    resolved: set[str] = set()
    todo = [os.path.abspath(script)]
    data: set[str] = set()
    unused = {os.path.join(top, name) for name in without}
    unused |= {os.path.join(top, *name.split(".")) + ".py" for name in without}

    def follow(names: Iterable[str]) -> None:
        for name in names:
            if name not in resolved and name.partition(".")[0] in ours:
                resolved.add(name)
                todo.extend(path for path in _files_of(name, top) if path not in unused)

    follow(modules)
    while todo:
        path = todo.pop()
        if path not in seen:
            module = _read(path, top)
            seen[path] = module.digest
            data.update(module.data)
            follow(module.imports)
    for path in data - unused:
        seen[path] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    text = "\n".join(sorted(f"{os.path.relpath(path, top)} {seen[path]}" for path in seen))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _files_of(name: str, root: str) -> Iterator[str]:
    """The files that importing a dotted name runs: its packages' and its own, if they are here."""
    folder = root
    for part in name.split("."):
        folder = os.path.join(folder, part)
        module, package = f"{folder}.py", os.path.join(folder, "__init__.py")
        if os.path.isfile(package):
            yield package
        elif os.path.isfile(module):
            yield module
            return
        elif not os.path.isdir(folder):
            return


def _read(path: str, root: str) -> _Module:
    status = os.stat(path)
    key = path, status.st_mtime_ns, status.st_size
    if key not in _modules:
        words: list[str] = []
        imports: list[str] = []
        package = os.path.relpath(os.path.dirname(path), root).split(os.sep)
        _describe(ast.parse(Path(path).read_bytes(), path), words, imports, package)
        digest = hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()
        data = sorted(set(_data_files(os.path.dirname(path), words)))
        _modules[key] = _Module(digest, tuple(dict.fromkeys(imports)), tuple(data))
    return _modules[key]


def _describe(node: ast.AST, words: list[str], imports: list[str], package: list[str]) -> None:
    """Append what a syntax tree says to `words`, and the dotted names it imports to `imports`."""
    kind = node.__class__
    if kind is ast.Import:
        imports.extend(alias.name for alias in node.names)  # type: ignore[attr-defined]
    elif kind is ast.ImportFrom:
        imports.extend(_imported_from(node, package))  # type: ignore[arg-type]
    words.append(kind.__name__)
    for name in node._fields:
        value = getattr(node, name, None)
        # Of Python 3.12 on, and written even where there are none.
        if name == "type_params" and not value:
            continue
        if value.__class__ is list:
            words.append("[")
            _describe_all(value, words, imports, package)
            words.append("]")
        elif isinstance(value, ast.AST):
            _describe(value, words, imports, package)
        else:
            words.append(repr(value))


def _describe_all(items: list, words: list[str], imports: list[str], package: list[str]) -> None:
    for item in items:
        if not isinstance(item, ast.AST):
            words.append(repr(item))
        elif item.__class__ is ast.If and _is_for_type_checkers(item):
            _describe_all(item.orelse, words, imports, package)
        elif not (item.__class__ in _MAYBE_IDLE and _is_idle(item)):
            _describe(item, words, imports, package)


def _imported_from(node: ast.ImportFrom, package: list[str]) -> Iterator[str]:
    base = package[: len(package) - node.level + 1] if node.level else []
    source = ".".join([*base, *([node.module] if node.module else [])])
    # What is imported may be a submodule or a name in one: which, the files tell.
    return (f"{source}.{alias.name}" for alias in node.names)


def _is_for_type_checkers(item: ast.If) -> bool:
    return "TYPE_CHECKING" in (getattr(item.test, "id", ""), getattr(item.test, "attr", ""))


_MAYBE_IDLE = (ast.Expr, ast.Pass, ast.Assign)


def _is_idle(item: ast.AST) -> bool:
    """Docstrings, `pass` and the package's version: statements that change no result."""
    match item:
        case ast.Expr(value=ast.Constant(value=str())) | ast.Pass():
            return True
        case ast.Assign(targets=[ast.Name(id="__version__")]):
            return True
    return False


def _data_files(folder: str, words: Iterable[str]) -> Iterator[str]:
    """Files in or below a module's folder, no code, that one of its strings names."""
    beside = {name for name in os.listdir(folder) if _is_data(name)}
    if not beside:
        return
    for word in set(words):
        name = word[1:-1]
        if word[:1] not in "'\"" or not _DATA_NAME.fullmatch(name) or ".." in name:
            continue
        # A bare star is said of folders elsewhere; here it would name an editor's backups too.
        if not any(map(str.isalnum, name)):
            continue
        if name.partition("/")[0] in beside or "*" in name:
            for path in Path(folder).glob(name):
                inside = path.rglob("*") if path.is_dir() else [path]
                yield from (str(file) for file in inside if file.is_file() and _is_data(file.name))


def _is_data(name: str) -> bool:
    return not name.startswith((".", "__pycache__")) and not name.endswith((".py", ".pyc"))
