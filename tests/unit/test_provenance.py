"""Fingerprints change with what a script runs and with nothing else."""

import ast
import os
import time
from pathlib import Path

import pytest

from afterimage.provenance import code_fingerprint

ROOT = Path(__file__).parents[2]

FILES = {
    "scripts/fit.py": "from house.a import fit\n\n\ndef main():\n    return fit()\n",
    "house/__init__.py": '"""A house."""\n\n__version__ = "1"\n',
    "house/a.py": "import numpy\n\nfrom house import b\n\n\ndef fit():\n    return b.B + 1\n",
    "house/b.py": "def late():\n    import house.rooms.c\n\n    return house.rooms.c\n\n\nB = 2\n",
    "house/rooms/__init__.py": "",
    "house/rooms/c.py": "C = 3\n",
    "house/rooms/d.py": "D = 4\n",
    "house/other.py": "OTHER = 5\n",
}


@pytest.fixture
def repository(tmp_path):
    for name, text in FILES.items():
        write(tmp_path, name, text)
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    # Edits of equal size within one tick of the clock must count too.
    write.tick += 1
    os.utime(path, ns=(write.tick, write.tick))


write.tick = 0


def digest(root: Path, **more) -> str:
    return code_fingerprint(root / "scripts/fit.py", root, **more)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("house/a.py", '"""New."""\nimport numpy\n\nfrom house import b  # c\n\n\ndef fit():\n'
                       '    """Said."""\n    return (\n        b.B + 1)\n'),
        ("house/b.py", FILES["house/b.py"] + '"""What B is."""\n'),
        ("house/b.py", FILES["house/b.py"].replace("late():", "late():\n    pass")),
        ("house/b.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import house.other"
                       "\nelse:\n    T = 1\n"),
        ("house/__init__.py", '__version__ = "2"\n'),
        ("house/other.py", "OTHER = 6\n"),
        ("house/rooms/d.py", "D = 6\n"),
        ("house/new.py", "import house.a\n"),
        ("notes.txt", "none"),
    ],
    ids=["format", "string", "pass", "type-checking", "version", "unused", "beside", "new", "txt"],
)  # fmt: skip
def test_what_changes_no_result_changes_no_fingerprint(repository, name, text):
    if "TYPE_CHECKING" in text:
        bare = text.replace("if TYPE_CHECKING:\n    import house.other\nelse:\n    T", "T")
        write(repository, name, bare)
    before = digest(repository)
    write(repository, name, text)
    assert digest(repository) == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("scripts/fit.py", "return fit()", "return -fit()"),
        ("house/a.py", "+ 1", "+ 2"),
        ("house/b.py", "B = 2", "B = 3"),
        ("house/b.py", "B = 2", "B = 2.0"),
        ("house/b.py", "B = 2", "B = '2'"),
        ("house/rooms/c.py", "C = 3", "C = 4"),
        ("house/rooms/__init__.py", "", "import house.other"),
        ("house/__init__.py", '__version__ = "1"', "X = 1"),
    ],
    ids=["script", "one", "two", "type", "str", "three-in-a-function", "package", "root-package"],
)
def test_an_edit_any_number_of_imports_away_counts(repository, name, old, new):
    before = digest(repository)
    text = FILES[name]
    write(repository, name, text.replace(old, new) if old else new)
    assert digest(repository) != before
    write(repository, name, text)
    assert digest(repository) == before


def test_cycles_end(repository):
    write(repository, "house/rooms/c.py", "import house.a\nC = 3\n")
    before = digest(repository)
    write(repository, "house/rooms/c.py", "import house.a\nC = 4\n")
    assert digest(repository) != before


def test_relative_imports_count(repository):
    write(repository, "house/a.py", "from .rooms.d import D\nfrom . import other\nfit = D\n")
    before = digest(repository)
    write(repository, "house/other.py", "OTHER = 7\n")
    middle = digest(repository)
    write(repository, "house/rooms/d.py", "D = 7\n")
    assert len({before, middle, digest(repository)}) == 3
    write(repository, "house/rooms/d.py", "from ..a import fit\nfrom .. import b\n")
    assert digest(repository) not in (before, middle)


def test_modules_looked_up_at_run_time_can_be_named(repository):
    one = digest(repository, modules=["house.rooms.d"])
    assert one != digest(repository)
    write(repository, "house/rooms/d.py", "D = 9\n")
    assert digest(repository, modules=["house.rooms.d"]) != one


def test_data_files_count_where_a_module_names_them(repository):
    write(repository, "house/b.py", "B = 'page.html'\nT = 'templates'\n")
    for name in ("house/page.html", "house/templates/deep/a.css", "house/unnamed.txt"):
        write(repository, name, "1")
    digests = [digest(repository)]
    write(repository, "house/unnamed.txt", "2")
    assert digest(repository) == digests[0]
    for name in ("house/page.html", "house/templates/deep/a.css"):
        write(repository, name, "2")
        digests.append(digest(repository))
    assert len(set(digests)) == 3


def test_what_a_job_does_not_use_can_be_left_out(repository):
    write(repository, "house/b.py", FILES["house/b.py"] + "NAMES = 'sorts/'\n")
    write(repository, "house/sorts/one.yaml", "a: 1")
    without = ["house.rooms.c", "house/sorts/one.yaml"]
    before = digest(repository, without=without)
    assert before != digest(repository)
    write(repository, "house/rooms/c.py", "C = 5\n")
    write(repository, "house/sorts/one.yaml", "a: 2")
    assert digest(repository, without=without) == before


def test_type_parameters_count_where_there_are_some(repository, monkeypatch):
    """Python 3.12 has the field, and 3.11 has not."""
    from afterimage.provenance import fingerprint

    fields = tuple(name for name in ast.FunctionDef._fields if name != "type_params")
    digests = []
    for more, value in ([], None), (["type_params"], []), (["type_params"], [ast.Name("T")]):
        fingerprint._modules.clear()
        monkeypatch.setattr(ast.FunctionDef, "_fields", (*fields, *more))
        monkeypatch.setattr(ast.FunctionDef, "type_params", value, raising=False)
        digests.append(digest(repository))
    fingerprint._modules.clear()
    assert digests[0] == digests[1] != digests[2]


def test_a_pattern_names_data_files(repository):
    write(repository, "house/b.py", "B = '*.yaml'\n")
    write(repository, "house/one.yaml", "a: 1")
    before = digest(repository)
    write(repository, "house/two.yaml", "a: 1")
    write(repository, "house/a.py", FILES["house/a.py"] + "\n# so that its folder is looked at\n")
    write(repository, "house/b.py", "B = '*.yaml'\n")
    assert digest(repository) != before


def test_a_bare_star_names_no_data_files(repository):
    write(repository, "house/b.py", "B = '*'\n")
    before = digest(repository)
    write(repository, "house/b.py~", "B = 1\n")
    write(repository, "house/a.py", FILES["house/a.py"] + "\n# so that its folder is looked at\n")
    write(repository, "house/b.py", "B = '*'\n")
    assert digest(repository) == before


def test_the_place_of_the_repository_does_not_matter(repository, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name, text in FILES.items():
        write(elsewhere, name, text)
    assert digest(elsewhere) == digest(repository)


def test_the_scripts_of_this_repository_are_quick_and_differ():
    scripts = sorted((ROOT / "workflow_scripts").glob("*.py"))
    begin = time.process_time()
    digests = {script.name: code_fingerprint(script, ROOT) for script in scripts}
    first = time.process_time() - begin
    begin = time.process_time()
    for script in scripts:
        code_fingerprint(script, ROOT)
    again = time.process_time() - begin
    assert len(set(digests.values())) == len(scripts)
    # Generous: 0.25 and 0.02 seconds were measured.
    assert first < 2
    assert again < 0.3


def test_a_script_depends_on_the_readers_it_uses_and_not_on_those_it_does_not():
    from afterimage.provenance import fingerprint

    fingerprint._modules.clear()
    code_fingerprint(ROOT / "workflow_scripts/build_graph.py", ROOT)
    read = {os.path.relpath(path, ROOT) for path, _, _ in fingerprint._modules}
    assert {"afterimage/graphs.py", "afterimage/stores.py", "afterimage/errors.py"} <= read
    assert not [name for name in read if "datasets" in name or "decoders" in name]
