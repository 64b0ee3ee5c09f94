"""check_generator: a fault of the model or of its settings is one line, before any other job."""

import pytest

from afterimage.errors import InputError
from afterimage.stores import read_json
from tests.tiny_diffusion import N_TOKENS, WIDTH, write_model
from workflow_scripts.check_generator import main


@pytest.fixture
def cfg(tmp_path):
    return {
        "model": str(write_model(tmp_path / "model")),
        "revision": "v1.4",
        "image_size": 20,
        "n_tokens": N_TOKENS,
        "steps": 50,
        "strength": 0.8,
    }


def test_it_says_what_the_model_is(cfg, tmp_path):
    main(str(tmp_path / "generator.json"), cfg)
    said = read_json(tmp_path / "generator.json")
    assert (said["model"], said["revision"]) == (cfg["model"], None)
    assert (said["z"], said["c"]) == ([4, 5, 5], [N_TOKENS, WIDTH])
    assert (said["native_size"], said["steps_run"]) == (32, 40)
    for part in ("unet", "vae"):
        name = f"{part}/diffusion_pytorch_model.safetensors"
        assert said["bytes"][name] == (tmp_path / "model" / name).stat().st_size
    assert {"tokenizer/vocab.json", "scheduler/scheduler_config.json"} < set(said["bytes"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "nowhere/at/all"}, "no folder"),
        ({"image_size": 21}, "a multiple of 4"),
        ({"n_tokens": 9}, "2 to 8"),
        ({"steps": 1000}, "at most 999"),
        ({"strength": 0.01}, "at least one step"),
    ],
)
def test_faults(cfg, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        main(str(tmp_path / "generator.json"), cfg | change)
    assert not (tmp_path / "generator.json").exists()


def test_every_part_is_looked_at(cfg, tmp_path):
    (tmp_path / "model/unet/diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(InputError, match="unet/diffusion_pytorch_model"):
        main(str(tmp_path / "generator.json"), cfg)
