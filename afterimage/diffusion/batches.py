"""How many pictures fit at once, and what to do when fewer do."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

from afterimage.diffusion.model import Generator
from afterimage.errors import InputError

T = TypeVar("T")
# Pictures in a batch, twice as many UNet rows with guidance: a large GPU is full by then. From 64
# rows on, diffusers' upsampling would leave the memory layout that tensor cores want.
MOST = 30
# At 512 px and 256 channels, activations reach the 2^31 elements that kernels can index with 32
# pictures: 8 keep well below.
VAE_MOST = 8
# What PyTorch says on a GPU, what cuBLAS and cuDNN say (CUBLAS_STATUS_ALLOC_FAILED), and on a CPU.
OUT_OF_MEMORY = ("out of memory", "ALLOC_FAILED", "can't allocate memory")
CPU_PIXELS = 16 * 128 * 128  # pictures in a CPU's batch are bounded by their pixels, not by memory


class Limit:
    """The number of rows that are computed together; halved whenever memory runs out."""

    def __init__(self, size: int) -> None:
        self.size = max(1, size)

    def run(self, compute: Callable[[slice], T], n: int) -> list[T]:
        """Call `compute` on consecutive slices that cover n rows, and list what it returns.

        Raises
        ------
        InputError
            if not even one row fits into memory
        """
        results: list[T] = []
        first = 0
        while first < n:
            rows = slice(first, min(n, first + self.size))
            result = _unless_memory_runs_out(compute, rows)
            if result is None:
                self._halve(rows.stop - rows.start)
                continue
            results.append(result[0])
            first = rows.stop
        return results

    def _halve(self, tried: int) -> None:
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if tried == 1:
            raise InputError(
                "execution",
                "memory for one picture at a time",
                "not enough",
                "Use a device with more memory, or float16.",
            )
        self.size = max(1, tried // 2)
        print(f"out of memory at {tried} at once: going on with {self.size}", flush=True)


def _unless_memory_runs_out(compute: Callable[[slice], T], rows: slice) -> tuple[T] | None:
    """What compute returns, in a tuple, or None. The error is gone with its tensors on return."""
    try:
        return (compute(rows),)
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, MemoryError) and not _is_out_of_memory(error):
            raise
        return None


def _is_out_of_memory(error: RuntimeError) -> bool:
    message = str(error)
    return any(words in message for words in OUT_OF_MEMORY)


def divide(n: int, size: int) -> list[slice]:
    """Cut n rows into the fewest slices of at most `size`, as equal as possible."""
    count = -(-n // size)
    edges = [n * index // count for index in range(count + 1)] if count else []
    return [slice(first, last) for first, last in pairwise(edges)]


def vae_batch(generator: Generator, size: int, asked: int = 0) -> int:
    """Pictures of side `size` that the VAE takes at once: `asked`, or found where that is 0."""
    if asked:
        return asked
    if generator.device != "cuda":
        return max(1, min(MOST, 4 * CPU_PIXELS // size**2))
    import torch

    channels = int(generator.vae.config.block_out_channels[0])
    itemsize = torch.empty((), dtype=generator.dtype).element_size()
    # The widest layers keep up to sixteen tensors of the first block's width at full size.
    per_picture = 16 * channels * size**2 * itemsize
    return max(1, min(VAE_MOST, int(0.5 * torch.cuda.mem_get_info()[0] / per_picture)))


def sampling_batch(generator: Generator, n_tokens: int, asked: int = 0) -> int:
    """Pictures that are denoised at once: `asked`, or found where that is 0.

    On a GPU two pictures are tried and the free memory is divided by what they took. On a CPU the
    number depends on the model alone, so that a rerun has the same batches.
    """
    if asked:
        return asked
    if generator.device != "cuda":
        return max(1, min(MOST, CPU_PIXELS // generator.files.native_size**2))
    import torch

    before = torch.cuda.memory_allocated()
    try:
        _one_step(generator, 2, n_tokens)  # compiles, and tries out cuDNN's workspaces
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        _one_step(generator, 2, n_tokens)
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
        torch.cuda.empty_cache()
        return 1
    per_picture = max(1, (torch.cuda.max_memory_allocated() - before) // 2)
    torch.cuda.empty_cache()
    return max(1, min(MOST, int(0.8 * torch.cuda.mem_get_info()[0] / per_picture)))


def _one_step(generator: Generator, n: int, n_tokens: int) -> None:
    import torch

    config = generator.unet.config
    options: dict[str, Any] = {"device": generator.device, "dtype": generator.dtype}
    latents = torch.zeros(
        2 * n, config.in_channels, config.sample_size, config.sample_size, **options
    )
    texts = torch.zeros(2 * n, n_tokens, generator.files.text_width, **options)
    time = torch.ones((), dtype=torch.long, device=generator.device)
    with torch.no_grad():
        generator.predict_noise(latents, time, texts)


def together(parts: "Sequence[Any]") -> Any:
    """Join the tensors of consecutive slices."""
    import torch

    return parts[0] if len(parts) == 1 else torch.cat(list(parts))
