"""fetch_weights writes weights or the reason why there are none, and never fails the workflow."""

import numpy as np
import pytest

from afterimage.errors import InputError
from afterimage.metrics import weights
from afterimage.stores import read_json
from workflow_scripts.fetch_weights import main


def run(tmp_path, **cfg) -> dict:
    settings = {"network": "swav", "folder": None, "sources": [], **cfg}
    main(str(tmp_path / "w.safetensors"), str(tmp_path / "w.json"), settings)
    return read_json(tmp_path / "w.json")


def test_from_the_users_folder(tmp_path):
    arrays = {"module.conv1.weight": np.ones((2, 2), dtype=np.float32)}
    weights.save(tmp_path / "swav.safetensors", arrays, {})
    status = run(tmp_path, folder=str(tmp_path), sources=["download"])
    assert status["available"]
    assert status["reason"] == ""
    found = weights.read_weights(tmp_path / "w.safetensors")
    assert np.array_equal(found["conv1.weight"], np.ones((2, 2)))
    assert weights.metadata(tmp_path / "w.safetensors")["source"] == status["source"]


def test_without_a_source_the_reason_is_one_line_and_in_both_files(tmp_path, capsys):
    status = run(tmp_path, sources=["download", "package"])
    assert not status["available"]
    assert "\n" not in status["reason"]
    assert "swav_800ep_pretrain.pth.tar" in status["reason"]
    assert "remove" in status["reason"]
    assert status["reason"] in capsys.readouterr().out
    assert weights.metadata(tmp_path / "w.safetensors")["reason"] == status["reason"]
    assert weights.read_weights(tmp_path / "w.safetensors") == {}


def test_an_unknown_network_is_a_mistake_in_the_config(tmp_path):
    with pytest.raises(InputError, match="vgg"):
        run(tmp_path, network="vgg")
