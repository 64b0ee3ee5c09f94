"""The training loop that all networks share.

Data lie on the device for the whole run, and a batch is a gather there: no loader. Every epoch
draws its order and its noise from a seed of its own, so that an epoch after a resumption draws what
it would have drawn, and no state of a generator needs keeping.
"""

import time
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from afterimage.decoders.checkpoints import Checkpoints
from afterimage.decoders.interface import Execution, Samples, TrainingSettings
from afterimage.errors import InputError
from afterimage.jobs import progress

if TYPE_CHECKING:
    from afterimage.decoders.networks import Network

VALIDATION_BATCH = 1024


def train_network(
    network: "Network",
    train: Samples,
    validation: Samples,
    settings: TrainingSettings,
    execution: Execution,
) -> list[dict[str, float]]:
    """Train in place until `patience` epochs bring no lower validation error; keep the best.

    Returns
    -------
    a row per epoch: epoch (from 1), train (mean over the epoch's batches, while the weights
    change), validation (exact mean over images and outputs), seconds

    Raises
    ------
    InputError
        if the loss is no longer finite, or there are fewer than two samples
    """
    if len(train.x) < 2 or not len(validation.x):
        found = f"{len(train.x)} and {len(validation.x)}"
        raise InputError("training", "2 training samples and 1 for validation", found)
    network.to(execution.device)
    optimiser = adam(network, settings)
    checkpoints = Checkpoints(execution.state)
    history, best = checkpoints.restore(network, optimiser, execution.device)
    data = Resident(train, execution.device)
    held_out = Resident(validation, execution.device)
    step = torch.compile(network.training_loss) if execution.compile else network.training_loss
    for epoch in progress(range(len(history) + 1, settings.epochs + 1), "epoch"):
        if _stopped(history, settings.patience):
            break
        begin = time.monotonic()
        torch.manual_seed(settings.seed * 1_000_003 + epoch)
        error = train_epoch(network, step, optimiser, data, settings, execution)
        row = {"epoch": epoch, "train": error, "validation": _error(network, held_out, execution)}
        row["seconds"] = time.monotonic() - begin
        _check_finite(row, settings)
        history.append(row)
        if best_epoch(history) is row:
            best = {name: value.clone() for name, value in network.state_dict().items()}
        checkpoints.save(history, network, optimiser, best)
    network.load_state_dict(best)
    return history


def adam(network: "Network", settings: TrainingSettings) -> torch.optim.Optimizer:
    """Adam; weight decay, if any, spares biases and batch normalisation."""
    parameters = list(network.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [one for one in parameters if one.ndim > 1]},
        {"params": [one for one in parameters if one.ndim <= 1], "weight_decay": 0.0},
    ]
    decay = settings.weight_decay
    return torch.optim.AdamW(groups, lr=settings.learning_rate, weight_decay=decay, fused=True)


class Resident:
    """Samples on the device: x (n_samples, n_voxels), image (n_samples,), y (n_images, ...)."""

    def __init__(self, samples: Samples, device: str) -> None:
        self.x = torch.from_numpy(samples.x).to(device)
        self.image = torch.from_numpy(samples.image).to(device)
        self.y = torch.from_numpy(samples.y).to(device)

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Responses and targets of some samples."""
        return self.x[rows], self.y[self.image[rows]]


def train_epoch(
    network: "Network",
    step: Any,
    optimiser: torch.optim.Optimizer,
    data: Resident,
    settings: TrainingSettings,
    execution: Execution,
) -> float:
    """One pass over all samples in random order; the mean error over its batches."""
    network.train()
    order = torch.randperm(len(data.x)).to(execution.device)
    total = torch.zeros((), device=execution.device)
    for rows in batches(order, settings.batch_size):
        x, y = data.batch(rows)
        if settings.input_noise:
            x = x + settings.input_noise * torch.randn_like(x)
        with torch.autocast(execution.device, torch.bfloat16, enabled=execution.half):
            loss, error = step(x, y)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        # A loss that is not finite shows in the sum: the device is asked once an epoch.
        total += (error + 0 * loss.detach()) * len(rows)
    return float(total) / len(order)


def batches(order: Tensor, size: int) -> list[Tensor]:
    """Cut into batches; a last one of one sample joins its neighbour.

    Batch normalisation has no variance over a single sample.
    """
    parts = list(order.split(max(2, size)))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def _error(network: "Network", data: Resident, execution: Execution) -> float:
    """Exact mean squared error over all samples and outputs."""
    network.eval()
    total = torch.zeros((), device=execution.device, dtype=torch.float64)
    with torch.inference_mode():
        for rows in torch.arange(len(data.x), device=execution.device).split(VALIDATION_BATCH):
            x, y = data.batch(rows)
            with torch.autocast(execution.device, torch.bfloat16, enabled=execution.half):
                predicted = network(x)
            total += functional.mse_loss(predicted.float(), y, reduction="sum")
    return float(total) / (len(data.x) * data.y.shape[1])


def _stopped(history: list[dict[str, float]], patience: int) -> bool:
    if not history:
        return False
    return len(history) - best_epoch(history)["epoch"] >= patience


def best_epoch(history: list[dict[str, float]]) -> dict[str, float]:
    """The row of the lowest validation error, the first of equals."""
    return min(history, key=lambda row: row["validation"])


def _check_finite(row: dict[str, float], settings: TrainingSettings) -> None:
    import math

    if not (math.isfinite(row["train"]) and math.isfinite(row["validation"])):
        raise InputError(
            "training",
            "a finite loss",
            f"{row['train']} in epoch {row['epoch']}",
            f"It diverged: lower learning_rate (now {settings.learning_rate}).",
        )
