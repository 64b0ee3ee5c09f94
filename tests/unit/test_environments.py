"""The conda environments pin what pip pins, and hold what their rules' scripts import."""

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
PINS = dict(
    line.lower().split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if "==" in line and not line.startswith("#")
)
NAMES = {
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "torch_geometric": "torch-geometric",
    "yaml": "pyyaml",
}
COMES_WITH = {"botocore": "boto3", "huggingface_hub": "diffusers"}
NOT_REACHED = {
    # Torch is imported where a model runs, which no rule of this environment does.
    "analysis": {"torch"},
    # Networks' features are not asked for.
    "score_novelty": {"torchvision", "transformers"},
}
CONDA_NAMES = {"matplotlib-base": "matplotlib", "pytables": "tables"}


def packages_of(environment: Path) -> dict[str, str]:
    """Package, by its name in pip, -> its pin; conda's `=3.1` is the start of a version."""
    found = {}
    for entry in yaml.safe_load(environment.read_text())["dependencies"]:
        for text in entry["pip"] if isinstance(entry, dict) else [entry]:
            name, _, pin = re.sub(r"\s", "", text).partition("=")
            found[CONDA_NAMES.get(name, name)] = pin
    return found


def rules() -> dict[str, tuple[Path, Path]]:
    """Rule -> its script and its environment."""
    found = {}
    for file in sorted((ROOT / "rules").glob("*.smk")):
        for text in re.split(r"^ *(?:rule|checkpoint) ", file.read_text(), flags=re.MULTILINE)[1:]:
            script, environment = (
                ROOT / re.search(rf'"\.\./({folder}/\w+\.\w+)"', text)[1]
                for folder in ("workflow_scripts", "envs")
            )
            found[text.partition(":")[0]] = script, environment
    return found


def imported(script: Path) -> set[str]:
    """Packages that a script and the modules it reaches import, within functions too."""
    found: set[str] = set()
    seen: set[Path] = set()
    todo = [script]
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        for node in ast.walk(ast.parse(path.read_text())):
            for name in names_in(node):
                own = [file for file in files_of(name) if file.exists()]
                todo += own
                if not own and name.partition(".")[0] != "afterimage":
                    found.add(name.partition(".")[0])
    return found - sys.stdlib_module_names


def names_in(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def files_of(name: str) -> list[Path]:
    path = ROOT.joinpath(*name.split("."))
    return [path.with_suffix(".py"), path / "__init__.py"]


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda path: path.stem)
def test_pins_are_those_of_pip(environment):
    packages = packages_of(environment)
    assert packages.pop("python") == "3.11"
    assert packages.pop("pip", "") == ""
    for name, pin in packages.items():
        expected = PINS[name]
        same = expected == pin.removeprefix("=") or expected.startswith(f"{pin}.")
        assert same, f"{environment.name} pins {name} {pin}, constraints.txt {expected}"


def test_every_rule_names_an_environment_and_every_environment_is_used():
    assert {environment for _, environment in rules().values()} == set(ENVIRONMENTS)


@pytest.mark.parametrize("rule", rules())
def test_an_environment_holds_what_its_rules_import(rule):
    script, environment = rules()[rule]
    needed = {NAMES.get(name, name) for name in imported(script) - COMES_WITH.keys()}
    needed |= {COMES_WITH[name] for name in imported(script) & COMES_WITH.keys()}
    reached = needed - NOT_REACHED.get(environment.stem, set()) - NOT_REACHED.get(rule, set())
    assert reached - set(packages_of(environment)) == set()
