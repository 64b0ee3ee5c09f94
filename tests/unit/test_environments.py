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
COMES_WITH = {"botocore": "boto3", "urllib3": "boto3", "huggingface_hub": "diffusers"}
# What chooses a device is called where a model runs.
IF_PRESENT = {("jobs.py", "torch")}
NOT_REACHED = {
    # Of the networks' weights it uses the names alone, by way of the protocols.
    "render_report": {"pip", "torch"},
    # Networks' features are not asked for.
    "score_novelty": {"torchvision", "transformers"},
}
# Read by pandas; of lpips a file is read.
NOT_IMPORTED = {"lpips", "pip", "pyarrow", "python", "pytables", "tables"}
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


def imported(*scripts: Path) -> set[str]:
    """Packages that scripts and the modules they reach import or run, within functions too."""
    found: set[str] = set()
    seen: set[Path] = set()
    todo = list(scripts)
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        for node in ast.walk(ast.parse(path.read_text())):
            for name in names_in(node):
                own = [file for file in files_of(name) if file.exists()]
                todo += own
                package = name.partition(".")[0]
                if not own and package != "afterimage" and (path.name, package) not in IF_PRESENT:
                    found.add(package)
    return found - sys.stdlib_module_names


def started(rule: str) -> list[Path]:
    """A rule's script, and the kinds of decoder that it imports by their names."""
    script = rules()[rule][0]
    kinds = sorted((ROOT / "afterimage/decoders").glob("*.py"))
    return [script, *(kinds if rule in ("train_decoder", "predict_latents") else [])]


def names_in(node: ast.AST) -> list[str]:
    if isinstance(node, ast.List) and len(node.elts) > 2:
        # A command: [sys.executable, "-m", "module", ...]
        python, option, module = node.elts[:3]
        if ast.unparse(python) == "sys.executable" and ast.unparse(option) == "'-m'":
            return [ast.literal_eval(module)]
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
    environment = rules()[rule][1]
    found = imported(*started(rule))
    needed = {NAMES.get(name, name) for name in found - COMES_WITH.keys()}
    needed |= {COMES_WITH[name] for name in found & COMES_WITH.keys()}
    reached = needed - NOT_REACHED.get(rule, set())
    assert reached - set(packages_of(environment)) == set()


def test_an_environment_holds_nothing_else():
    used: dict[Path, set[str]] = {environment: set() for environment in ENVIRONMENTS}
    for rule, (_, environment) in rules().items():
        used[environment] |= {NAMES.get(name, name) for name in imported(*started(rule))}
    for environment, names in used.items():
        surplus = set(packages_of(environment)) - names - {COMES_WITH.get(n) for n in names}
        assert surplus - NOT_IMPORTED == set(), environment.name
