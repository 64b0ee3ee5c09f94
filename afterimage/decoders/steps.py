"""One training step: gather a batch, compute the loss in half precision, differentiate, Adam.

A GPU finishes most of a small network's kernels sooner than the processor starts them. There a step
over a full batch is recorded once as a CUDA graph, optimiser and all, and replayed with other rows:
the processor then starts one graph instead of some hundred kernels.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from afterimage.decoders.interface import Execution, Samples, TrainingSettings

if TYPE_CHECKING:
    from afterimage.decoders.networks import Network

STEPS_BEFORE_RECORDING = 3
"""Ordinary steps in which libraries choose their algorithms and Adam makes its moments."""


class Resident:
    """Samples on the device: x (n_samples, n_voxels), image (n_samples,), y (n_images, ...)."""

    def __init__(self, samples: Samples, device: str) -> None:
        self.x = torch.from_numpy(samples.x).to(device)
        self.image = torch.from_numpy(samples.image).to(device)
        self.y = torch.from_numpy(samples.y).to(device)

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Responses and targets of some samples."""
        return self.x[rows], self.y[self.image[rows]]


class Step:
    """Called with the rows of a batch, it changes the network's weights.

    Attributes
    ----------
    total : () on the device, sum of the errors of all samples since it was last set to zero
    """

    def __init__(
        self,
        network: "Network",
        optimiser: torch.optim.Optimizer,
        data: Resident,
        settings: TrainingSettings,
        execution: Execution,
    ) -> None:
        self.network, self.optimiser, self.data = network, optimiser, data
        self.settings, self.execution = settings, execution
        self.total = torch.zeros((), device=execution.device)
        self.loss: Callable = network.training_loss
        # A last, smaller batch would be compiled anew: it goes through the plain function.
        compiled = execution.compile and network.gains_by_compiling
        self.compiled = torch.compile(self.loss, dynamic=False) if compiled else self.loss

    def __call__(self, rows: Tensor) -> None:
        """Train on a batch."""
        self.run(rows)

    def run(self, rows: Tensor) -> None:
        """Train on a batch, kernel by kernel."""
        x, y = self.data.batch(rows)
        if self.settings.input_noise:
            x = x + self.settings.input_noise * torch.randn_like(x)
        loss_of = self.compiled if len(rows) == self.settings.batch_size else self.loss
        with torch.autocast(self.execution.device, torch.bfloat16, enabled=self.execution.half):
            loss, error = loss_of(x, y)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        # A loss that is not finite shows in the sum: the device is asked once an epoch.
        self.total += (error + 0 * loss.detach()) * len(rows)


class RecordedStep(Step):
    """Full batches are replayed from a CUDA graph; other ones run kernel by kernel."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.stream = torch.cuda.Stream()
        self.rows = torch.zeros(
            self.settings.batch_size, dtype=torch.int64, device=self.execution.device
        )
        self.graph: torch.cuda.CUDAGraph | None = None
        self.n_before = 0

    def __call__(self, rows: Tensor) -> None:
        """Train on a batch."""
        full = len(rows) == len(self.rows)
        if full and self.graph is None and self.n_before == STEPS_BEFORE_RECORDING:
            self._record()
        if full and self.graph is not None:
            self.rows.copy_(rows)
            self.graph.replay()
            return
        self.n_before += full
        # Recording wants the steps before it, and the memory they took, on a stream of its own.
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            self.run(rows)
        torch.cuda.current_stream().wait_stream(self.stream)

    def _record(self) -> None:
        """Record a step; nothing is computed."""
        self.optimiser.zero_grad(set_to_none=True)
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        self.graph = torch.cuda.CUDAGraph()
        for group in self.optimiser.param_groups:
            group["capturable"] = True
        with torch.cuda.graph(self.graph, stream=self.stream):
            self.run(self.rows)
        # Outside a recording, Adam warns of what it is told here.
        for group in self.optimiser.param_groups:
            group["capturable"] = False


def make_step(
    network: "Network",
    optimiser: torch.optim.Optimizer,
    data: Resident,
    settings: TrainingSettings,
    execution: Execution,
) -> Step:
    """Give the step for how it is to be computed."""
    kind = RecordedStep if execution.record else Step
    return kind(network, optimiser, data, settings, execution)


@contextmanager
def convolutions(execution: Execution) -> Iterator[None]:
    """Let cuDNN try its algorithms, and keep it from rounding float32 where half is not wanted.

    PyTorch's default rounds the convolutions' float32 input to TF32's ten bits.
    """
    settings = torch.backends.cudnn
    before = settings.benchmark, settings.allow_tf32
    settings.benchmark = execution.device == "cuda"
    settings.allow_tf32 = execution.half
    try:
        yield
    finally:
        settings.benchmark, settings.allow_tf32 = before
