"""A variational autoencoder of the responses whose latent is the image's (report, section 2.5.2).

The encoder gives mean and log-variance in the image latent's space; the decoder gives the responses
back from a sample. Predictions are the mean.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from afterimage.decoders.interface import TrainingSettings
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
    """

    hidden: tuple = (512, 256)
    width: int = 4096
    n_blocks: int = 3
    latent_weight: float = 1.0
    reconstruction_weight: float = 1.0
    kl_weight: float = 0.0


class Decoder(NetworkDecoder):
    """Trains a `VariationalNetwork`."""

    settings_type = Settings
    settings: Settings

    def build(self) -> Network:
        """Make the untrained network."""
        return VariationalNetwork(self.settings, self.shapes.n_voxels, self.shapes.n_outputs)


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
        sample = mean + variance.sqrt() * torch.randn_like(mean)
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
