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
from afterimage.decoders.interface import (
    Execution,
    Shapes,
    TrainingSettings,
    mean_squared_error,
)
from afterimage.errors import InputError
from tests.unit.decoder_samples import LATENT, SMALL, brain, entry, graph, shapes

PAGE = Path(__file__).parents[2] / "docs" / "decoders.md"


def block(language: str) -> str:
    """The page's example in a language."""
    return PAGE.read_text().split(f"```{language}\n")[1].split("```")[0]


def added(name, code, folder, monkeypatch):
    """Another kind, whose file lies in a folder of its own."""
    (folder / f"{name}.py").write_text(code)
    monkeypatch.setattr(decoders, "__path__", [*decoders.__path__, str(folder)])
    monkeypatch.delitem(sys.modules, f"afterimage.decoders.{name}", raising=False)


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
        ({"kind": "cnn", "batch_size": 0}, "batch_size: expected a finite number of at least 2"),
        ({"kind": "vae", "batch_size": -7}, "decoder.batch_size: .* found -7"),
        ({"kind": "gcn", "batch_size": 1}, "decoder.batch_size: .* found 1"),
        ({"kind": "cnn", "epochs": 0}, "decoder.epochs: .* at least 1, found 0"),
        ({"kind": "cnn", "patience": -3}, "decoder.patience: .* at least 1, found -3"),
        ({"kind": "cnn", "learning_rate": -1}, "learning_rate: .* number above 0, found -1"),
        ({"kind": "cnn", "learning_rate": 0.0}, "decoder.learning_rate"),
        ({"kind": "cnn", "learning_rate": float("nan")}, "learning_rate: .* found nan"),
        ({"kind": "cnn", "learning_rate": float("inf")}, "learning_rate: .* found inf"),
        ({"kind": "cnn", "input_noise": -0.1}, "decoder.input_noise"),
        ({"kind": "cnn", "weight_decay": -0.1}, "decoder.weight_decay"),
        ({"kind": "cnn", "seed": -1}, "decoder.seed"),
        ({"kind": "cnn", "kernel": 10}, "kernel: expected an odd number .* found 10"),
        ({"kind": "cnn", "channels": 0}, "decoder.channels"),
        ({"kind": "cnn", "n_blocks": 0}, "decoder.n_blocks"),
        ({"kind": "cnn", "convolutions_per_block": 0}, "decoder.convolutions_per_block"),
        ({"kind": "cnn", "hidden": ["a"]}, "decoder.hidden: expected a list of int"),
        ({"kind": "cnn", "hidden": [8, 0]}, "hidden: expected a list of numbers of at least 1"),
        ({"kind": "vae", "hidden": [8]}, "decoder.hidden: expected 2 numbers of at least 1"),
        ({"kind": "vae", "kl_weight": -1}, "decoder.kl_weight"),
        ({"kind": "vae", "predict": "noisy"}, "expected one of mean, sample, found 'noisy'"),
        ({"kind": "gcn", "orders": [4, 0]}, "decoder.orders"),
        ({"kind": "gcn", "orders": [4, 3, 2]}, "decoder.orders"),
        ({"kind": "gcn", "normalisation": "symmetric"}, "expected one of rw, sym"),
        ({"kind": "linear", "folds": 1}, "decoder.folds: .* at least 2, found 1"),
        ({"kind": "linear", "alphas_per_decade": 0}, "decoder.alphas_per_decade"),
        ({"kind": "linear", "alpha_exponents": [7, 0]}, "2 numbers in ascending order"),
        ({"kind": "linear", "alpha_exponents": [0, float("nan")]}, "decoder.alpha_exponents"),
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


def test_settings_may_derive_from_another_kinds(tmp_path, monkeypatch):
    code = """
from dataclasses import dataclass
from typing import ClassVar

from afterimage.decoders import cnn
from afterimage.decoders.cnn import Settings as CnnSettings


@dataclass(frozen=True, kw_only=True)
class Settings(CnnSettings):
    kernel: int = 3
    rate: float = 0.5

    limits: ClassVar[dict] = {"rate": {"above": 0}}


class Decoder(cnn.Decoder):
    settings_type = Settings
"""
    added("dropped", code, tmp_path, monkeypatch)
    settings = decoders.load_kind("dropped").settings_type
    found = decoders.settings_of("dropped")
    assert found == {one.name: one.default for one in fields(settings)}
    assert (found["kernel"], found["channels"], found["epochs"]) == (3, 64, 100)
    for name, value in (("rate", 0), ("kernel", 4), ("epochs", 0)):
        with pytest.raises(InputError, match=f"decoder.{name}"):
            decoders.check_settings({"kind": "dropped", name: value})
    added("unknown", code.replace("decoders.cnn import", "decoder import"), tmp_path, monkeypatch)
    with pytest.raises(InputError, match=r"unknown\.py: expected the base CnnSettings"):
        decoders.settings_of("unknown")


@pytest.mark.parametrize("kind", SMALL)
def test_every_number_has_limits_that_its_default_keeps(kind):
    settings = decoders.load_kind(kind).settings_type
    shared = {} if kind == "linear" else TrainingSettings.limits
    limits = shared | settings.limits
    wanted = {one.name for one in fields(settings) if not isinstance(one.default, bool)}
    assert set(limits) == wanted
    decoders.check_settings({"kind": kind, **decoders.settings_of(kind)})


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
