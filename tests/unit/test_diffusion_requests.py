"""What a shard makes is read by id and checked before any model is loaded."""

import numpy as np
import pytest

from afterimage.diffusion.files import ModelFiles
from afterimage.diffusion.requests import read_requests
from afterimage.errors import InputError
from afterimage.stores import write_arrays

FILES = ModelFiles(
    folder=None,
    model="m",
    revision=None,
    configs={
        "vae/config.json": {"block_out_channels": [1] * 4, "latent_channels": 4},
        "text_encoder/config.json": {"hidden_size": 16},
    },
)
CFG = {"variant": "both", "n_tokens": 6}


@pytest.fixture
def predictions(tmp_path):
    """Five images, z and c in different orders; the values tell the image."""

    def write(ids_z="bcade", ids_c="edcba", z_shape=(4, 5, 5), c_shape=(6, 16), spoil=None):
        value = {name: float(ord(name)) for name in ids_z + ids_c}
        z = np.stack([np.full(z_shape, value[name], np.float32) for name in ids_z])
        c = np.stack([np.full(c_shape, -value[name], np.float32) for name in ids_c])
        if spoil is not None:
            z[spoil, 0, 0, 0] = np.nan
        write_arrays(tmp_path / "z.zarr", {"z": z, "image_id": np.array(list(ids_z))})
        write_arrays(tmp_path / "c.zarr", {"c": c, "image_id": np.array(list(ids_c))})
        return str(tmp_path / "z.zarr"), str(tmp_path / "c.zarr")

    return write


def test_predictions_are_joined_by_id(predictions):
    requests = read_requests(*predictions(), FILES, CFG, 0, 1)
    assert list(requests.image_id) == list("abcde")
    assert requests.z[:, 0, 0, 0].tolist() == [ord(name) for name in "abcde"]
    assert requests.c[:, 0, 0].tolist() == [-ord(name) for name in "abcde"]


@pytest.mark.parametrize("n_shards", [1, 3, 7])
def test_shards_cover_every_image_once(predictions, n_shards):
    paths = predictions()
    shards = [read_requests(*paths, FILES, CFG, shard, n_shards) for shard in range(n_shards)]
    assert [name for shard in shards for name in shard.image_id] == list("abcde")
    assert all(len(s.z) == len(s.c) == len(s.image_id) for s in shards)


def test_a_variant_opens_only_what_it_uses(predictions):
    z, c = predictions()
    text = read_requests(None, c, FILES, CFG | {"variant": "text_only"}, 0, 1)
    assert text.z is None
    assert list(text.image_id) == list("abcde")
    image = read_requests(z, "nowhere", FILES, CFG | {"variant": "image_only"}, 0, 1)
    assert image.c is None


@pytest.mark.parametrize(
    ("files", "cfg", "message"),
    [
        ({"z_shape": (3, 5, 5)}, {}, "z of shape (images, 4, side, side), found (5, 3, 5, 5)"),
        ({"z_shape": (4, 5, 6)}, {}, "found (5, 4, 5, 6)"),
        ({}, {"image_size": 80}, "z of shape (images, 4, 10, 10)"),
        ({"c_shape": (5, 16)}, {}, "c of shape (images, 6, 16), found (5, 5, 16)"),
        ({"c_shape": (6, 8)}, {}, "found (5, 6, 8)"),
        ({"spoil": 1}, {}, "NaN or infinite values for image c"),
        ({"ids_c": "edcb"}, {}, "1 missing, first a"),
        ({"ids_c": "edcbaf"}, {}, "6 images"),
        ({"ids_z": "bcadd"}, {}, "more than once"),
        ({}, {"variant": "text"}, "did you mean 'text_only'?"),
    ],
)
def test_faults_have_one_clear_line(predictions, files, cfg, message):
    with pytest.raises(InputError) as caught:
        read_requests(*predictions(**files), FILES, CFG | cfg, 0, 1)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_predictions_that_a_variant_needs(predictions):
    with pytest.raises(InputError, match="predictions z"):
        read_requests(None, predictions()[1], FILES, CFG, 0, 1)


def test_a_shard_that_is_not_there(predictions):
    with pytest.raises(InputError, match="0 to 2"):
        read_requests(*predictions(), FILES, CFG, 3, 3)
