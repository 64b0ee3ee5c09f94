"""A model folder is checked before it is loaded, and each fault has its own line."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import torch
from safetensors.torch import load_file, save_file

from afterimage.diffusion.files import find_model
from afterimage.errors import InputError
from tests.tiny_diffusion import N_TOKENS, WIDTH, write_model


@pytest.fixture(scope="module")
def whole_model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def model(whole_model, tmp_path):
    """A copy whose files a test may spoil; links, so that only what is spoilt takes room."""
    for source in whole_model.rglob("*"):
        target = tmp_path / "m" / source.relative_to(whole_model)
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(source)
    return tmp_path / "m"


def change(path, **values):
    settings = json.loads(path.read_text()) | values
    path.unlink()
    path.write_text(json.dumps(settings))


def line(model, **options) -> str:
    with pytest.raises(InputError) as caught:
        find_model(str(model), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_sizes_come_from_the_configuration(model):
    files = find_model(str(model), n_tokens=N_TOKENS)
    assert (files.scale_factor, files.native_size) == (4, 32)
    assert (files.latent_channels, files.text_width) == (4, WIDTH)
    assert files.revision is None


@pytest.mark.parametrize(
    "name",
    [
        "vae/config.json",
        "unet/config.json",
        "text_encoder/config.json",
        "scheduler/scheduler_config.json",
        "tokenizer/tokenizer_config.json",
        "tokenizer/merges.txt",
        "vae/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
    ],
)
def test_a_missing_file_is_named(model, name):
    (model / name).unlink()
    assert str(model / name) in line(model)


def test_only_the_parts_that_are_needed_are_asked_for(model):
    (model / "unet/diffusion_pytorch_model.safetensors").unlink()
    (model / "text_encoder/config.json").unlink()
    assert find_model(str(model), parts=("vae",)).scale_factor == 4


def test_pickles_are_refused(model):
    weights = model / "unet/diffusion_pytorch_model.safetensors"
    weights.unlink()
    torch.save({}, weights.with_suffix(".bin"))
    assert "diffusion_pytorch_model.bin" in line(model)
    assert "pickle" in line(model)


def test_a_single_checkpoint_file_is_refused(tmp_path):
    path = tmp_path / "sd-v1-4.ckpt"
    path.write_bytes(b"x")
    assert "single checkpoint" in line(path)


def test_a_truncated_file_is_found_without_loading(model):
    weights = model / "vae/diffusion_pytorch_model.safetensors"
    data = weights.read_bytes()
    weights.unlink()
    weights.write_bytes(data[:-10])
    assert f"{len(data)} bytes by its own header, found {len(data) - 10}" in line(model)


def test_a_pointer_in_place_of_weights_is_found(model):
    weights = model / "vae/diffusion_pytorch_model.safetensors"
    weights.unlink()
    weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 334\n")
    assert "expected a safetensors file" in line(model)


def test_text_encoder_and_unet_must_fit(model):
    change(model / "unet/config.json", cross_attention_dim=1024)
    assert f"cross_attention_dim {WIDTH}" in line(model)
    assert "found 1024" in line(model)
    find_model(str(model), parts=("text",))


def test_vae_and_unet_must_fit(model):
    change(model / "unet/config.json", in_channels=9)
    assert "in_channels 4" in line(model)


@pytest.mark.parametrize("n_tokens", [1, 9])
def test_tokens_must_fit_the_text_encoder(model, n_tokens):
    assert f"2 to 8, the text encoder's positions, found {n_tokens}" in line(
        model, n_tokens=n_tokens
    )


def test_invalid_json_is_named(model):
    (model / "vae/config.json").unlink()
    (model / "vae/config.json").write_text("{")
    assert "invalid JSON" in line(model)


@pytest.mark.parametrize(
    ("name", "setting", "value", "message"),
    [
        ("vae/config.json", "block_out_channels", [], "block_out_channels of type list"),
        ("vae/config.json", "latent_channels", None, "latent_channels of type int"),
        ("unet/config.json", "sample_size", [8, 8], "sample_size of type int, found [8, 8]"),
        ("unet/config.json", "cross_attention_dim", None, "cross_attention_dim of type int | list"),
        ("text_encoder/config.json", "hidden_size", "16", "hidden_size of type int, found '16'"),
        ("scheduler/scheduler_config.json", "beta_schedule", "cosine", "one of linear, scaled"),
        ("scheduler/scheduler_config.json", "prediction_type", "flow", "one of epsilon, sample"),
    ],
)
def test_settings_that_cannot_be_used_are_named(model, name, setting, value, message):
    change(model / name, **{setting: value})
    assert message in line(model)
    assert str(model / name) in line(model)


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("vae/config.json", "block_out_channels"),
        ("unet/config.json", "in_channels"),
        ("text_encoder/config.json", "max_position_embeddings"),
        ("scheduler/scheduler_config.json", "beta_start"),
    ],
)
def test_a_setting_that_is_missing_is_named(model, name, setting):
    settings = json.loads((model / name).read_text())
    del settings[setting]
    (model / name).unlink()
    (model / name).write_text(json.dumps(settings))
    assert f"{setting} of type" in line(model)
    assert "no such setting" in line(model)


def test_a_configuration_that_is_a_list(model):
    (model / "unet/config.json").unlink()
    (model / "unet/config.json").write_text("[]")
    assert "expected a JSON object, found list" in line(model)


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_an_index_that_is_none(model, text):
    (model / "unet/diffusion_pytorch_model.safetensors").unlink()
    (model / "unet/diffusion_pytorch_model.safetensors.index.json").write_text(text)
    assert "index.json" in line(model)


def test_a_replaced_file_of_the_same_size_is_another_model(model):
    """v1.5's weights have v1.4's sizes."""
    parts = ("unet", "vae", "text")
    before = {part: find_model(str(model), parts=(part,)).identity() for part in parts}
    assert all(before.values())
    for name in ("unet/diffusion_pytorch_model.safetensors", "scheduler/scheduler_config.json"):
        now = find_model(str(model), parts=("unet",)).identity()
        path = model / name
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)
        os.utime(path, ns=(0, 1))
        assert find_model(str(model), parts=("unet",)).identity() != now
    # The hub's cache may fill with other parts while a job is away.
    assert find_model(str(model), parts=("vae",)).identity() == before["vae"]


def test_shards_are_checked_through_their_index(model):
    weights = model / "unet/diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    weights.unlink()
    names = {
        key: f"diffusion_pytorch_model-0000{index % 2 + 1}-of-00002.safetensors"
        for index, key in enumerate(tensors)
    }
    index = {"metadata": {}, "weight_map": names}
    (model / "unet/diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    first, second = sorted(set(names.values()))
    save_file({key: tensors[key] for key in names if names[key] == first}, model / "unet" / first)
    assert second in line(model)
    save_file({key: tensors[key] for key in names if names[key] == second}, model / "unet" / second)
    find_model(str(model))


def test_a_folder_that_is_not_there(tmp_path):
    assert f"no folder {tmp_path / 'nothing'}" in line(tmp_path / "nothing")


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty hub cache, and a hub that nobody answers for."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def test_a_hub_that_cannot_be_reached(cache):
    message = line("CompVis/stable-diffusion-v1-4", revision="main")
    assert "hf download CompVis/stable-diffusion-v1-4 --revision main" in message
    assert "set diffusion.model to FOLDER" in message


class Hub(BaseHTTPRequestHandler):
    """A hub that hangs up, or that stands behind a page to log in at."""

    answer = b""

    def do_GET(self):
        if self.answer:
            self.send_response(200)
            self.send_header("content-length", str(len(self.answer)))
            self.end_headers()
            self.wfile.write(self.answer)

    def do_HEAD(self):
        self.do_GET()

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.mark.parametrize("answer", [None, b"", b"<html>log in</html>"])
def test_a_hub_that_answers_nothing_of_use(cache, monkeypatch, answer):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(Hub, "answer", answer)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    Thread(target=server.serve_forever, daemon=True).start()
    if answer is None:
        server.shutdown()
        server.server_close()
    try:
        assert "run `hf download someone/small --include" in line("someone/small")
    finally:
        server.shutdown()
        server.server_close()


def test_the_hubs_cache_serves_offline(cache, model):
    commit = "0123456789abcdef0123456789abcdef01234567"
    place = cache / "models--someone--small"
    (place / "refs").mkdir(parents=True)
    (place / "refs/main").write_text(commit)
    (place / "snapshots").mkdir()
    model.rename(place / "snapshots" / commit)
    files = find_model("someone/small")
    assert files.revision == commit
    assert files.native_size == 32
    (place / "snapshots" / commit / "unet/diffusion_pytorch_model.safetensors").unlink()
    message = line("someone/small")
    assert "diffusion.model someone/small" in message
    assert "unet/diffusion_pytorch_model.safetensors" in message
    assert "could not be reached" in message
    assert "hf download someone/small --include" in message
    assert "--exclude '*.fp16.*' --exclude 'safety_checker/*'" in message
