"""Convolutions along the list of voxels, residual blocks, then fully connected layers.

One kind serves both targets (report, sections 2.4 and 2.5.1): text has three blocks of three
convolutions with kernel 7 and hidden layers of 1024 and 2048, image two blocks of two with kernel
11 and hidden layers of 512 and 512.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from afterimage.decoders.interface import TrainingSettings
from afterimage.decoders.networks import Network, NetworkDecoder, fully_connected


@dataclass(frozen=True, kw_only=True)
class Settings(TrainingSettings):
    """Hyper-parameters; the defaults are the image decoder's.

    Attributes
    ----------
    channels : of the convolutions
    n_blocks : residual blocks
    convolutions_per_block : in each of them
    kernel : their odd width in voxels
    hidden : widths of the fully connected layers before the output
    shared_blocks : apply one block `n_blocks` times, as the published code does
    rectify_ends : a ReLU after the first and the last convolution too, as the report says and the
        published code does not
    """

    channels: int = 64
    n_blocks: int = 2
    convolutions_per_block: int = 2
    kernel: int = 11
    hidden: tuple = (512, 512)
    shared_blocks: bool = False
    rectify_ends: bool = True

    limits: ClassVar[dict] = {
        "channels": {"least": 1},
        "n_blocks": {"least": 1},
        "convolutions_per_block": {"least": 1},
        "kernel": {"least": 1, "odd": True},
        "hidden": {"least": 1},
    }


class Decoder(NetworkDecoder):
    """Trains a `ConvolutionalNetwork`."""

    settings_type = Settings
    settings: Settings

    def build(self) -> Network:
        """Make the untrained network."""
        return ConvolutionalNetwork(self.settings, self.shapes.n_voxels, self.shapes.n_outputs)


class ConvolutionalNetwork(Network):
    """(batch, n_voxels) to (batch, n_outputs); a ReLU after every layer but the last.

    Between its ends, values are (batch, channels, 1, n_voxels) with a voxel's channels side by side
    in memory: the layout in which convolutions need no copies, on a GPU and on most processors.
    """

    gains_by_compiling = True

    def __init__(self, settings: Settings, n_voxels: int, n_outputs: int) -> None:
        super().__init__()
        self.widen = Widen(1, settings.channels, 1)
        n_distinct = 1 if settings.shared_blocks else settings.n_blocks
        self.blocks = nn.ModuleList(residual_branch(settings) for _ in range(n_distinct))
        self.n_blocks = settings.n_blocks
        self.rectify_ends = settings.rectify_ends
        self.ends = nn.ReLU() if settings.rectify_ends else nn.Identity()
        self.narrow = Narrow(settings.channels, 1, 1)
        self.hidden = fully_connected([n_voxels, *settings.hidden], nn.ReLU)
        self.head = nn.Linear([n_voxels, *settings.hidden][-1], n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Predict (batch, n_outputs) from (batch, n_voxels)."""
        return self.head(self.hidden(self.ends(self.convolve(x))))

    def convolve(self, x: Tensor) -> Tensor:
        """(batch, n_voxels) through all convolutions, back to (batch, n_voxels)."""
        x = self.ends(self.widen(x))
        for index in range(self.n_blocks):
            x = x + self.blocks[index % len(self.blocks)](x)
        return self.narrow(x)

    def prepare(self, x: Tensor) -> None:
        """Scale and shift the last convolution, so that its ReLU lets most of its output pass.

        Its inputs are all positive, and it has one channel: with weights drawn as usual, about
        every second network would put out zeros alone and never learn. Without that ReLU there is
        nothing to mend.
        """
        if not self.rectify_ends:
            return
        before = self.convolve(x)
        self.narrow.weight /= before.std()
        assert self.narrow.bias is not None
        self.narrow.bias.sub_(before.mean()).div_(before.std()).add_(2.0)


def residual_branch(settings: Settings) -> nn.Sequential:
    """Convolutions that keep the length, each followed by a ReLU."""
    layers: list[nn.Module] = []
    for _ in range(settings.convolutions_per_block):
        width = settings.channels
        layers += [
            Convolution(width, width, settings.kernel, padding=settings.kernel // 2),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class Convolution(nn.Conv1d):
    """Conv1d on (batch, channels, 1, n_voxels)."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve along the voxels, which keep their number."""
        weight, padding = self.weight[:, :, None], (0, int(self.padding[0]))
        return functional.conv2d(x, weight, self.bias, padding=padding)


class Widen(nn.Conv1d):
    """Conv1d of kernel 1 from one channel: a product that is as long as its output."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_voxels) to (batch, channels, 1, n_voxels)."""
        x, weight, bias = autocast(x, self.weight[:, 0, 0], self.bias)
        wide = torch.addcmul(bias, x[..., None], weight)  # (batch, n_voxels, channels)
        return wide.transpose(1, 2)[:, :, None]


class Narrow(nn.Conv1d):
    """Conv1d of kernel 1 to one channel: a product that is as long as its input."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, 1, n_voxels) to (batch, n_voxels)."""
        x, weight, bias = autocast(x, self.weight[0, :, 0], self.bias)
        return (x[:, :, 0].transpose(1, 2) * weight).sum(-1) + bias


def autocast(*tensors: Tensor | None) -> tuple[Tensor, ...]:
    """Cast to autocast's type where it is on: it casts matrix products, but no other ones."""
    given = [tensor for tensor in tensors if tensor is not None]
    device = given[0].device.type
    if not torch.is_autocast_enabled(device):
        return tuple(given)
    return tuple(tensor.to(torch.get_autocast_dtype(device)) for tensor in given)
