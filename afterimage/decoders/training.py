"""The training loop that all networks share.

Data lie on the device for the whole run, and a batch is a gather there (`steps`). Every epoch draws
its order and its noise from a seed of its own, so that an epoch after a resumption draws what
it would have drawn, and no state of a generator needs keeping.
"""

import time
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from afterimage.decoders.checkpoints import Checkpoints
from afterimage.decoders.interface import Execution, Samples, TrainingSettings
from afterimage.decoders.steps import Resident, Step, make_step
from afterimage.errors import InputError
from afterimage.jobs import progress

if TYPE_CHECKING:
    from afterimage.decoders.networks import Network

VALIDATION_BATCH = 256


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
    step = make_step(network, optimiser, data, settings, execution)
    for epoch in progress(range(len(history) + 1, settings.epochs + 1), "epoch"):
        if _stopped(history, settings.patience):
            break
        begin = time.monotonic()
        torch.manual_seed(settings.seed * 1_000_003 + epoch)
        error = train_epoch(network, step)
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


def train_epoch(network: "Network", step: Step) -> float:
    """One pass over all samples in random order; the mean error over its batches."""
    network.train()
    n_samples = len(step.data.x)
    order = torch.randperm(n_samples).to(step.execution.device)
    step.total.zero_()
    for rows in batches(order, step.settings.batch_size):
        step(rows)
    return float(step.total) / n_samples


def batches(order: Tensor, size: int) -> list[Tensor]:
    """Cut into batches; a last one of one sample joins its neighbour.

    Batch normalisation has no variance over a single sample.
    """
    parts = list(order.split(size))
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
