"""The registry of kinds, their settings, and what is written and read back."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import yaml

from afterimage import decoders
from afterimage.decoders import files
from afterimage.decoders.interface import Execution, Shapes, mean_squared_error
from afterimage.errors import InputError
from tests.unit.decoder_samples import LATENT, SMALL, brain, entry, graph, shapes

PAGE = Path(__file__).parents[2] / "docs" / "decoders.md"


def block(language: str) -> str:
    """The page's example in a language."""
    return PAGE.read_text().split(f"```{language}\n")[1].split("```")[0]


@pytest.fixture
def toy(tmp_path, monkeypatch):
    (tmp_path / "perceptron.py").write_text(block("python"))
    monkeypatch.setattr(decoders, "__path__", [*decoders.__path__, str(tmp_path)])
    yield
    sys.modules.pop("afterimage.decoders.perceptron", None)


def test_kinds_are_the_files():
    assert decoders.kinds() == ["cnn", "gcn", "linear", "vae"]


@pytest.mark.parametrize("kind", SMALL)
def test_settings_read_without_import_are_those_of_the_class(kind):
    settings = decoders.load_kind(kind).settings_type
    assert decoders.settings_of(kind) == {one.name: one.default for one in fields(settings)}


def test_looking_at_settings_imports_no_torch():
    code = (
        "import sys; from afterimage import decoders; decoders.check_settings({'kind': 'gcn'});"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("values", "hint"),
    [
        ({"kind": "gnc"}, "'gcn'"),
        ({"kind": "training"}, "a decoder kind"),
        ({"kind": "interface"}, "a decoder kind"),
        ({"kind": "../linear"}, "linear"),
        ({}, "a decoder kind"),
        ({"kind": "cnn", "kernal": 7}, "'kernel'"),
        ({"kind": "cnn", "kernel": "seven"}, "int"),
        ({"kind": "cnn", "shared_blocks": 1}, "bool"),
        ({"kind": "cnn", "n_blocks": True}, "int"),
        ({"kind": "linear", "learning_rate": 0.1}, "a setting of kind 'linear'"),
    ],
)
def test_a_bad_entry_is_one_clear_line(values, hint):
    with pytest.raises(InputError, match=hint):
        decoders.check_settings(values)


def test_whole_numbers_and_lists_serve_as_settings():
    made = decoders.make(
        {"kind": "cnn", "hidden": [3, 2], "learning_rate": 1, "channels": 2}, Shapes(9, (4,))
    )
    assert made.settings.hidden == (3, 2)


def test_a_graph_decoder_without_a_graph_or_with_another_ones():
    with pytest.raises(InputError, match="graph"):
        decoders.make(entry("gcn"), Shapes(40, LATENT))
    with pytest.raises(InputError, match="41 voxels"):
        decoders.make(entry("gcn"), Shapes(41, LATENT), graph())


@pytest.mark.parametrize("kind", SMALL)
def test_what_is_saved_predicts_the_same(kind, tmp_path):
    train, validation, test = brain(60)
    decoder = decoders.make(entry(kind) | _short(kind), shapes(train), graph())
    history = decoder.fit(train, validation, Execution())
    start = np.arange(4, dtype=np.float32)
    files.save(tmp_path, decoder, {"target": "text"}, history, start)
    again, start_again = files.load(tmp_path)
    expected = decoder.predict(test.x, Execution())
    np.testing.assert_array_equal(again.predict(test.x, Execution()), expected)
    # Another batch size rounds differently, no more.
    np.testing.assert_allclose(again.predict(test.x, Execution(), 7), expected, atol=1e-5)
    np.testing.assert_array_equal(start_again, start)
    assert again.settings == decoder.settings
    assert (tmp_path / "history.csv").read_text().startswith("epoch,train,validation,seconds\n1,")
    assert {file.name for file in tmp_path.iterdir()} == {
        "model.safetensors",
        "model.json",
        "history.csv",
    }


def _short(kind):
    return {} if kind == "linear" else {"epochs": 2}


def test_a_broken_model_file_is_named(tmp_path):
    train, validation, _ = brain(20)
    decoder = decoders.make(entry("linear"), shapes(train))
    files.save(tmp_path, decoder, {}, decoder.fit(train, validation, Execution()))
    model = tmp_path / "model.safetensors"
    model.write_bytes(model.read_bytes()[:200])
    with pytest.raises(InputError, match=r"model\.safetensors"):
        files.load(tmp_path)


def test_a_new_decoder_is_one_file_and_one_entry(toy, tmp_path):
    """The walk-through of docs/decoders.md, as it stands there."""
    values = yaml.safe_load(block("yaml"))["perceptron"]
    assert "perceptron" in decoders.kinds()
    with pytest.raises(InputError, match="'hidden'"):
        decoders.check_settings({**values, "hiden": 3})
    train, validation, test = brain(400)
    decoder = decoders.make(values, shapes(train))
    files.save(tmp_path / "model", decoder, {}, decoder.fit(train, validation, Execution()))
    predicted = files.load(tmp_path / "model")[0].predict(test.x, Execution())
    assert ((predicted - test.y) ** 2).mean() < 0.3 * test.y.var(axis=0).mean()


def test_which_kinds_need_a_graph_is_known_without_import():
    found = {kind: decoders.needs_graph(kind) for kind in SMALL}
    assert found == {kind: decoders.load_kind(kind).needs_graph for kind in SMALL}
    assert found["gcn"]


def test_the_page_names_every_setting_and_default():
    page = PAGE.read_text()
    for kind in SMALL:
        assert f"| `{kind}` |" in page
        for name in decoders.settings_of(kind):
            assert f"`{name}`" in page, f"{kind}: {name} is not in docs/decoders.md"


def test_mean_squared_error_is_over_samples_not_images():
    train, _, _ = brain(3000)
    predicted = np.zeros((len(train.x), 24), dtype=np.float32)
    expected = (train.y[train.image].astype(np.float64) ** 2).mean()
    assert mean_squared_error(predicted, train) == pytest.approx(expected, rel=1e-9)
