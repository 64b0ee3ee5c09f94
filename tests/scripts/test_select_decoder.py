"""select_decoder's main."""

import json
import subprocess
import sys

import pytest

from afterimage.errors import InputError
from workflow_scripts import select_decoder


def models(folder, errors: dict) -> dict:
    """model.json files with these validation errors, as {target: {name: path}}."""
    paths: dict = {}
    for target, of_target in errors.items():
        paths[target] = {}
        for name, error in of_target.items():
            path = folder / f"{target}-{name}.json"
            # A lower test or training error must not matter.
            path.write_text(json.dumps({"validation_error": error, "train_error": -error}))
            paths[target][name] = str(path)
    return paths


def test_the_lowest_validation_error_wins(tmp_path):
    errors = {"image": {"cnn": 0.5, "vae": 0.4, "gcn": 0.6}, "text": {"cnn": 0.2}}
    select_decoder.main(models(tmp_path, errors), str(tmp_path / "selected.json"))
    selected = json.loads((tmp_path / "selected.json").read_text())
    assert selected == {"image": "vae", "text": "cnn", "validation_error": errors}


def test_equal_errors_are_settled_by_name(tmp_path):
    errors = {"image": {"vae": 0.4, "gcn": 0.4}, "text": {"b": 1.0, "a": 1.0}}
    select_decoder.main(models(tmp_path, errors), str(tmp_path / "selected.json"))
    selected = json.loads((tmp_path / "selected.json").read_text())
    assert (selected["image"], selected["text"]) == ("gcn", "a")


@pytest.mark.parametrize("errors", [{"image": {}}, {"image": {"cnn": float("nan")}}])
def test_nothing_to_choose_from(tmp_path, errors):
    with pytest.raises(InputError):
        select_decoder.main(models(tmp_path, errors), str(tmp_path / "selected.json"))


def test_a_missing_model_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"gone\.json"):
        select_decoder.main({"image": {"cnn": str(tmp_path / "gone.json")}}, str(tmp_path / "out"))


def test_is_light(tmp_path):
    code = (
        "import sys; from workflow_scripts import select_decoder as s;"
        f"s.main({models(tmp_path, {'text': {'cnn': 1.0}})!r}, {str(tmp_path / 'out')!r});"
        "sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
