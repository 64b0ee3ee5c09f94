"""A variational autoencoder of the responses whose latent is the image's (report, section 2.5.2).

The encoder gives mean and log-variance in the image latent's space; the decoder gives the responses
back from a sample. Predictions are the mean, or with `predict: sample` a sample, as published.
"""

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from afterimage.decoders.interface import Execution, TrainingSettings
from afterimage.decoders.networks import Network, NetworkDecoder


@dataclass(frozen=True, kw_only=True)
class Settings(TrainingSettings):
    """Hyper-parameters.

    Attributes
    ----------
    hidden : widths of the encoder's two layers
    width : of the decoder's blocks
    n_blocks : of linear, batch normalisation, LeakyReLU, with a skip where widths match
    latent_weight, reconstruction_weight, kl_weight : of the loss's three terms
    predict : mean, or sample from the predicted distribution, as published; training stops by the
        mean's validation error in either case
    """

    hidden: tuple = (512, 256)
    width: int = 4096
    n_blocks: int = 3
    latent_weight: float = 1.0
    reconstruction_weight: float = 1.0
    kl_weight: float = 0.0
    predict: str = "mean"

    limits: ClassVar[dict] = {
        "hidden": {"least": 1, "length": 2},
        "width": {"least": 1},
        "n_blocks": {"least": 1},
        "latent_weight": {"least": 0},
        "reconstruction_weight": {"least": 0},
        "kl_weight": {"least": 0},
        "predict": {"choices": ["mean", "sample"]},
    }


class Decoder(NetworkDecoder):
    """Trains a `VariationalNetwork`."""

    settings_type = Settings
    settings: Settings
    network: "VariationalNetwork"

    def build(self) -> Network:
        """Make the untrained network."""
        return VariationalNetwork(self.settings, self.shapes.n_voxels, self.shapes.n_outputs)

    def predict(self, x: np.ndarray, execution: Execution, batch_size: int = 0) -> np.ndarray:
        """Predict the mean or a sample, in float32, in batches of `batch_size` (0: 256)."""
        mean = super().predict(x, execution, batch_size)
        if self.settings.predict == "mean":
            return mean
        deviation = self.compute(self.network.deviation, x, execution, batch_size)
        for row, response in enumerate(x):
            mean[row] += deviation[row] * standard_normal(
                response, self.settings.seed, len(mean[row])
            )
        return mean


class VariationalNetwork(Network):
    """(batch, n_voxels) to the latent's mean (batch, n_outputs)."""

    def __init__(self, settings: Settings, n_voxels: int, n_outputs: int) -> None:
        super().__init__()
        first, second = settings.hidden
        self.encoder = nn.Sequential(
            nn.Linear(n_voxels, first), nn.LeakyReLU(), nn.Linear(first, second)
        )
        self.head = nn.Linear(second, n_outputs)
        self.log_variance = nn.Linear(second, n_outputs)
        widths = [n_outputs] + [settings.width] * settings.n_blocks
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(wide, narrow), nn.BatchNorm1d(narrow), nn.LeakyReLU())
            for wide, narrow in pairwise(widths)
        )
        self.reconstruct = nn.Linear(widths[-1], n_voxels)
        self.settings = settings

    def forward(self, x: Tensor) -> Tensor:
        """Predict the mean (batch, n_outputs)."""
        return self.head(self.encoder(x))

    def deviation(self, x: Tensor) -> Tensor:
        """Standard deviation (batch, n_outputs) of the predicted distribution."""
        return (self.log_variance(self.encoder(x)) / 2).exp()

    def decode(self, z: Tensor) -> Tensor:
        """Give responses (batch, n_voxels) back from latents (batch, n_outputs)."""
        for block in self.blocks:
            after = block(z)
            z = z + after if z.shape == after.shape else after
        return self.reconstruct(z)

    def training_loss(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Sum the weighted terms; the latent's is over a sample, as an expectation in closed form.

        The expected squared error of a sample is the mean's squared error plus the variance. The
        Kullback-Leibler divergence from a standard normal is per output.
        """
        code = self.encoder(x)
        mean, log_variance = self.head(code).float(), self.log_variance(code).float()
        variance = log_variance.exp()
        # Not the variance's root, whose gradient is no number where the variance underflows.
        sample = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        error = functional.mse_loss(mean, y)
        reconstruction = functional.mse_loss(self.decode(sample).float(), x)
        divergence = 0.5 * (mean**2 + variance - 1 - log_variance).mean()
        weights = self.settings
        loss = (
            weights.latent_weight * (error + variance.mean())
            + weights.reconstruction_weight * reconstruction
            + weights.kl_weight * divergence
        )
        return loss, error.detach()


def standard_normal(response: np.ndarray, seed: int, size: int) -> np.ndarray:
    """Noise (size,) float32 that belongs to a response, whatever it is predicted together with.

    Two halves of an image's repeats are different responses: theirs is independent.
    """
    digest = hashlib.sha256(np.ascontiguousarray(response).data).digest()
    rng = np.random.default_rng([seed, int.from_bytes(digest)])
    return rng.standard_normal(size, dtype=np.float32)
