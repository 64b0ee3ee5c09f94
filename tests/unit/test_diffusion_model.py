"""Loading: v1.4's own files, exact weights, only what is needed, no silent random tensors."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from afterimage.diffusion.model import load_generator
from afterimage.errors import InputError
from tests.tiny_diffusion import build_unet, build_vae, write_model


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "m")


def test_weights_are_those_of_the_files(model):
    generator = load_generator(str(model), device="cpu")
    for loaded, built in ((generator.vae, build_vae()), (generator.unet, build_unet())):
        for key, value in built.state_dict().items():
            assert torch.equal(loaded.state_dict()[key], value)
    assert not any(p.requires_grad for p in generator.unet.parameters())
    assert not generator.unet.training


def test_parts_that_are_not_needed_stay_on_disk(model):
    generator = load_generator(str(model), device="cpu", parts=("vae",))
    assert generator.unet is None
    assert generator.text_encoder is None
    assert generator.tokenizer is None


def test_version_1_4_spells_its_tensors_in_older_ways(model):
    """Its VAE has query, key, value, proj_attn; its text encoder a prefix and a buffer."""
    new = load_generator(str(model), device="cpu", parts=("vae", "text"))
    vae = model / "vae/diffusion_pytorch_model.safetensors"
    spelling = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = {}
    for key, value in load_file(vae).items():
        for modern, older in spelling.items():
            key = key.replace(f".{modern}.", f".{older}.")
        tensors[key] = value
    save_file(tensors, vae)
    text = model / "text_encoder/model.safetensors"
    tensors = {f"text_model.{key}": value for key, value in load_file(text).items()}
    tensors["text_model.embeddings.position_ids"] = torch.arange(8)[None]
    save_file(tensors, text, metadata={"format": "pt"})
    old = load_generator(str(model), device="cpu", parts=("vae", "text"))
    for a, b in ((old.vae, new.vae), (old.text_encoder, new.text_encoder)):
        ours, theirs = a.state_dict(), b.state_dict()
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("vae", "vae/diffusion_pytorch_model.safetensors"),
        ("unet", "unet/diffusion_pytorch_model.safetensors"),
        ("text", "text_encoder/model.safetensors"),
    ],
)
def test_a_missing_tensor_is_an_error(model, part, name):
    tensors = load_file(model / name)
    lost = sorted(tensors)[3]
    del tensors[lost]
    save_file(tensors, model / name, metadata={"format": "pt"})
    with pytest.raises(InputError, match=lost.replace(".", r"\.")):
        load_generator(str(model), device="cpu", parts=(part,))


def test_a_tensor_of_another_shape_is_an_error(model):
    name = model / "unet/diffusion_pytorch_model.safetensors"
    tensors = load_file(name)
    tensors["conv_in.weight"] = torch.zeros(8, 4, 1, 1)
    save_file(tensors, name)
    with pytest.raises(InputError, match="conv_in"):
        load_generator(str(model), device="cpu", parts=("unet",))


def test_half_precision_files_serve_where_they_are_all_there_is(model):
    path = model / "vae/diffusion_pytorch_model.safetensors"
    tensors = {key: value.half() for key, value in load_file(path).items()}
    path.unlink()
    save_file(tensors, path.with_name("diffusion_pytorch_model.fp16.safetensors"))
    generator = load_generator(str(model), device="cpu", parts=("vae",))
    assert generator.vae.dtype == torch.float32
    key = "encoder.conv_in.weight"
    assert torch.equal(generator.vae.state_dict()[key], tensors[key].float())


def test_the_models_own_schedule_goes_to_ddim(model):
    """PNDM's settings carry over; DDIM's clipping, of which they say nothing, stays off."""
    generator = load_generator(str(model), device="cpu", parts=("unet",))
    scheduler = generator.new_scheduler()
    assert type(scheduler).__name__ == "DDIMScheduler"
    config = scheduler.config
    assert (config.beta_start, config.beta_end) == (0.00085, 0.012)
    assert config.beta_schedule == "scaled_linear"
    assert not config.clip_sample
    assert not config.set_alpha_to_one
    scheduler.set_timesteps(50)
    assert scheduler.timesteps[:2].tolist() == [981, 961]
    assert scheduler.timesteps[10:].tolist() == list(range(781, 0, -20))


@pytest.mark.parametrize("text", ["{", '{"a</w>": 0}'])
def test_a_tokenizer_that_cannot_be_read(model, text):
    (model / "tokenizer/vocab.json").write_text(text)
    with pytest.raises(InputError, match="CLIPTokenizer's files") as caught:
        load_generator(str(model), device="cpu", parts=("text",))
    assert "\n" not in str(caught.value)


def test_a_tokenizer_of_another_model(model):
    """A token that the text encoder has no row for would end in an index error, or a GPU's trap."""
    path = model / "tokenizer/vocab.json"
    table = json.loads(path.read_text())
    path.write_text(json.dumps(table | {"one_more</w>": len(table)}))
    with pytest.raises(InputError, match=f"at most {len(table)} tokens"):
        load_generator(str(model), device="cpu", parts=("text",))


def test_a_configuration_that_its_library_refuses(model):
    path = model / "text_encoder/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_attention_heads": 3}))
    with pytest.raises(InputError, match="weights of a CLIPTextModel") as caught:
        load_generator(str(model), device="cpu", parts=("text",))
    assert "\n" not in str(caught.value)


def test_unknown_precision(model):
    with pytest.raises(InputError, match="float32"):
        load_generator(str(model), device="cpu", precision="float8", parts=("vae",))
