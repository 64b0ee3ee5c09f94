"""What the networks share: a module to train, and a decoder around it."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from afterimage.decoders.interface import Decoder, Execution, Samples
from afterimage.decoders.steps import convolutions
from afterimage.decoders.training import best_epoch, train_network

SAMPLES_TO_PREPARE = 64


class Network(nn.Module):
    """A module whose forward maps (batch, n_voxels) to (batch, n_outputs).

    Attributes
    ----------
    head : its last linear layer towards the latent
    gains_by_compiling : whether torch.compile on a GPU pays for its seconds at the start
    """

    head: nn.Linear
    gains_by_compiling: ClassVar[bool] = False

    def prepare(self, x: Tensor) -> None:
        """Adjust the first weights to some training responses; most networks need nothing."""

    def training_loss(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """What to minimise and, for the history, the latent's mean squared error alone."""
        error = functional.mse_loss(self(x), y)
        return error, error.detach()


class NetworkDecoder(Decoder):
    """A decoder that trains a `Network`."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        torch.manual_seed(self.settings.seed)
        self.network = self.build()
        self.fit_notes: dict[str, Any] = {}

    @abstractmethod
    def build(self) -> Network:
        """Make the untrained network from settings, shapes and graph."""

    def fit(
        self, train: Samples, validation: Samples, execution: Execution
    ) -> list[dict[str, float]]:
        """Train until the validation error stops falling; keep the best epoch's weights.

        Raises
        ------
        InputError
            if the loss is no longer finite, or there are fewer than two samples
        """
        with torch.no_grad():
            self.network.prepare(torch.from_numpy(train.x[:SAMPLES_TO_PREPARE]))
            if self.settings.start_at_mean:
                self.network.head.bias.copy_(torch.from_numpy(train.mean_target()))
        with convolutions(execution):
            history = train_network(self.network, train, validation, self.settings, execution)
        self.fit_notes = {
            "epochs": len(history),
            "best_epoch": best_epoch(history)["epoch"],
        }
        return history

    def predict(self, x: np.ndarray, execution: Execution, batch_size: int = 0) -> np.ndarray:
        """Predict in float32, in batches of `batch_size` (0: 256)."""
        return self.compute(self.network, x, execution, batch_size)

    def compute(
        self,
        function: Callable[[Tensor], Tensor],
        x: np.ndarray,
        execution: Execution,
        batch_size: int = 0,
    ) -> np.ndarray:
        """A function of responses that uses the network's weights, as `predict` is computed."""
        size = batch_size or 256
        self.network.to(execution.device).eval()
        with torch.inference_mode(), convolutions(replace(execution, half=False)):
            parts = [
                function(torch.from_numpy(x[begin : begin + size]).to(execution.device)).cpu()
                for begin in range(0, len(x), size)
            ]
        return torch.cat(parts).numpy()

    def tensors(self) -> dict[str, np.ndarray]:
        """Weights and running statistics, by their names in the network."""
        return {name: value.cpu().numpy() for name, value in self.network.state_dict().items()}

    def restore(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Load weights and running statistics; all must be there and none more."""
        self.network.load_state_dict({k: torch.from_numpy(v) for k, v in tensors.items()})

    def notes(self) -> dict[str, Any]:
        """How many epochs were trained and which was kept."""
        return self.fit_notes

    def n_parameters(self) -> int:
        """Weights that the optimiser changes."""
        return sum(parameter.numel() for parameter in self.network.parameters())


def fully_connected(widths: list[int], activation: type[nn.Module]) -> nn.Sequential:
    """Linear layers from width to width, each followed by an activation."""
    layers: list[nn.Module] = []
    for wide, narrow in pairwise(widths):
        layers += [nn.Linear(wide, narrow), activation()]
    return nn.Sequential(*layers)
