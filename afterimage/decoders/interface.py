"""What every decoder takes, gives and keeps; nothing here imports torch."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np


@dataclass(frozen=True)
class Shapes:
    """Sizes that the data decide, never constants.

    Attributes
    ----------
    n_voxels : width of the responses
    latent : shape of what is predicted for one image: (4, height, width), or (tokens, width)
        without the start token
    """

    n_voxels: int
    latent: tuple[int, ...]

    @property
    def n_outputs(self) -> int:
        """Number of predicted values for one image."""
        return int(np.prod(self.latent))


@dataclass(frozen=True)
class Graph:
    """The brain as a graph, the same for every sample.

    Attributes
    ----------
    node_of_voxel : (n_voxels,) int64, -1 for a voxel in no node
    edge_index : (2, n_edges) int64, rows source and target
    edge_weight : (n_edges,) float32, Pearson's r
    """

    node_of_voxel: np.ndarray
    edge_index: np.ndarray
    edge_weight: np.ndarray

    @property
    def n_nodes(self) -> int:
        """Number of nodes, edges or not."""
        return max(int(self.node_of_voxel.max()), int(self.edge_index.max(initial=-1))) + 1


@dataclass(frozen=True)
class Samples:
    """Responses, each with the image that was seen, and one latent per image.

    Attributes
    ----------
    x : (n_samples, n_voxels) float32
    image : (n_samples,) int64, row of `y`
    y : (n_images, n_outputs) float32
    """

    x: np.ndarray
    image: np.ndarray
    y: np.ndarray

    def mean_target(self) -> np.ndarray:
        """(n_outputs,) mean over samples, so that an image counts as often as it was seen."""
        counts = np.bincount(self.image, minlength=len(self.y)).astype(np.float64)
        return (counts @ self.y.astype(np.float64) / counts.sum()).astype(self.y.dtype)


@dataclass(frozen=True)
class Execution:
    """How a fit or a prediction is computed; none of it changes results beyond rounding.

    Attributes
    ----------
    device : cpu or cuda
    half : bfloat16 autocast in the networks' training
    compile : torch.compile the loss of networks that gain by it
    record : replay a training step from a CUDA graph
    state : folder for resuming, or None; holds nothing once the job is done
    """

    device: str = "cpu"
    half: bool = False
    compile: bool = False
    record: bool = False
    state: Path | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Hyper-parameters that all networks share.

    Attributes
    ----------
    learning_rate, batch_size : Adam's, Table 2 of the report at full size; batch normalisation
        needs two samples
    epochs : the most that are trained
    patience : epochs without a lower validation error after which training stops
    weight_decay : decoupled from the gradient (0: plain Adam, as reported)
    input_noise : standard deviation of normal noise added to responses in training, in their units
    start_at_mean : let the last layer's bias begin at the mean training latent
    seed : of weights, batch order and noise
    limits : which values they may have, in the words of `afterimage.decoders.limits`
    """

    learning_rate: float = 1e-3
    batch_size: int = 64
    epochs: int = 100
    patience: int = 5
    weight_decay: float = 0.0
    input_noise: float = 0.0
    start_at_mean: bool = True
    seed: int = 0

    limits: ClassVar[dict] = {
        "learning_rate": {"above": 0},
        "batch_size": {"least": 2},
        "epochs": {"least": 1},
        "patience": {"least": 1},
        "weight_decay": {"least": 0},
        "input_noise": {"least": 0},
        "seed": {"least": 0},
    }


class Decoder(ABC):
    """Maps responses to latents. A kind is a file here that defines `Decoder` and `Settings`."""

    settings_type: ClassVar[type]
    needs_graph: ClassVar[bool] = False

    def __init__(self, settings: Any, shapes: Shapes, graph: Graph | None = None) -> None:
        self.settings = settings
        self.shapes = shapes
        self.graph = graph

    @abstractmethod
    def fit(
        self, train: Samples, validation: Samples, execution: Execution
    ) -> list[dict[str, float]]:
        """Learn from training samples; validation ones only decide when to stop.

        Returns
        -------
        a row per epoch: epoch (from 1), train, validation (mean squared errors), seconds
        """

    @abstractmethod
    def predict(self, x: np.ndarray, execution: Execution, batch_size: int = 0) -> np.ndarray:
        """(n_samples, n_voxels) float32 to (n_samples, n_outputs) float32; 0 picks a batch."""

    @abstractmethod
    def tensors(self) -> dict[str, np.ndarray]:
        """Everything that was learned, by name."""

    @abstractmethod
    def restore(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Take over what `tensors` of an equal decoder gave."""

    def notes(self) -> dict[str, Any]:
        """What else model.json should say of the fit."""
        return {}

    def n_parameters(self) -> int:
        """Number of learned values."""
        return sum(int(tensor.size) for tensor in self.tensors().values())

    def settings_dict(self) -> dict[str, Any]:
        """Hyper-parameters as JSON."""
        return asdict(self.settings)


def mean_squared_error(predicted: np.ndarray, samples: Samples) -> float:
    """Exact mean over samples and outputs, in float64, without copying the targets at once."""
    total = 0.0
    for begin in range(0, len(predicted), 1024):
        rows = slice(begin, begin + 1024)
        difference = predicted[rows].astype(np.float64) - samples.y[samples.image[rows]]
        total += float(np.einsum("ij,ij->", difference, difference))
    return total / max(1, predicted.size)
