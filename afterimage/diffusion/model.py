"""Load the parts of a Stable Diffusion model that a job needs, and nothing more."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afterimage.compat import ensure_torchvision
from afterimage.diffusion.configs import PARTS
from afterimage.diffusion.files import ModelFiles, find_model
from afterimage.errors import InputError
from afterimage.jobs import choose_device, keep_float32, require_compiler

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "float32", "float16", "bfloat16")


@dataclass
class Generator:
    """A loaded model; parts that were not asked for are None.

    Attributes
    ----------
    files : the folder it came from and the sizes in its configuration
    device : torch device name
    dtype : torch dtype of the VAE and the UNet; the text encoder stays in float32, because its
        embeddings are targets and it costs next to nothing
    compiled : whether `compile_networks` was applied
    """

    files: ModelFiles
    device: str
    dtype: Any
    vae: Any = None
    unet: Any = None
    text_encoder: Any = None
    tokenizer: Any = None
    compiled: bool = False

    def new_scheduler(self) -> Any:
        """A DDIMScheduler with the noise schedule of the model's own scheduler.

        Stable Diffusion v1.4 ships a PNDMScheduler. Its settings carry over, except that DDIM would
        clip the predicted latents to [-1, 1] where the settings are silent: latents have no such
        bounds, so clipping is always off, as in diffusers' own pipelines.
        """
        from diffusers import DDIMScheduler

        settings = self.files.configs["scheduler/scheduler_config.json"]
        return DDIMScheduler.from_config(settings, clip_sample=False)

    def predict_noise(
        self, latents: "torch.Tensor", time: "torch.Tensor", texts: "torch.Tensor"
    ) -> "torch.Tensor":
        """What the UNet says about one step of a batch, in its own precision.

        Parameters
        ----------
        latents : (rows, channels, h, w), any precision
        time : time step, a scalar on the device
        texts : (rows, tokens, width), in the UNet's precision
        """
        import torch

        latents = latents.to(self.dtype)
        if self.compiled:
            latents = latents.contiguous(memory_format=torch.channels_last)
            # One compilation serves every number of rows: batches differ by one, and shrink when
            # memory runs out.
            torch._dynamo.maybe_mark_dynamic(latents, 0)
            torch._dynamo.maybe_mark_dynamic(texts, 0)
        with _fastest_kernels(self.device):
            return self.unet(latents, time, encoder_hidden_states=texts, return_dict=False)[0]


def load_generator(
    model: str,
    revision: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    parts: Sequence[str] = PARTS,
    n_tokens: int | None = None,
    compiled: bool = False,
) -> Generator:
    """Check and load a Stable Diffusion model.

    Parameters
    ----------
    model, revision, parts, n_tokens : as for `files.find_model`
    device : auto, cpu or cuda
    precision : of VAE and UNet; auto is float16 on a GPU and float32 on a CPU
    compiled : on a GPU, torch.compile the UNet (minutes at the start, faster afterwards)

    Raises
    ------
    InputError
        as `files.find_model`, and if weights lack tensors that the architecture has
    """
    files = find_model(model, revision, parts, n_tokens)
    return load_parts(files, device, precision, parts, compiled)


def load_parts(
    files: ModelFiles,
    device: str = "auto",
    precision: str = "auto",
    parts: Sequence[str] = PARTS,
    compiled: bool = False,
) -> Generator:
    """Load parts of a model folder that `files.find_model` has checked; see `load_generator`."""
    device = choose_device(device)
    keep_float32(device)
    generator = Generator(files, device, choose_dtype(precision, device))
    ensure_torchvision()
    compiled = compiled and device == "cuda" and "unet" in parts
    if compiled:
        require_compiler()
    if "vae" in parts:
        generator.vae = _load_vae(generator)
    if "unet" in parts:
        generator.unet = _load_unet(generator)
    if "text" in parts:
        generator.text_encoder, generator.tokenizer = _load_text(generator)
    if compiled:
        compile_networks(generator)
    return generator


def choose_dtype(precision: str, device: str) -> Any:
    """The torch dtype of a precision's name."""
    import torch

    if precision not in PRECISIONS:
        raise InputError("execution.precision", f"one of {', '.join(PRECISIONS)}", precision)
    if precision == "auto":
        precision = "float16" if device == "cuda" else "float32"
    return getattr(torch, precision)


def _load_vae(generator: Generator) -> Any:
    from diffusers import AutoencoderKL

    return _load(generator, AutoencoderKL, "vae", "vae", torch_dtype=generator.dtype)


def _load_unet(generator: Generator) -> Any:
    from diffusers import UNet2DConditionModel

    return _load(generator, UNet2DConditionModel, "unet", "unet", torch_dtype=generator.dtype)


def _load_text(generator: Generator) -> tuple[Any, Any]:
    import torch
    from transformers import CLIPTextModel, CLIPTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # it would fill the job's log
    folder = generator.files.folder / "tokenizer"
    try:
        tokenizer = CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (
        Exception
    ) as error:  # its own code, json and a Rust library each have errors of their own
        raise InputError(
            folder, "a CLIPTokenizer's files", _reason(error), "Fetch the whole model again."
        ) from None
    encoder = _load(generator, CLIPTextModel, "text", "text_encoder", dtype=torch.float32)
    rows = encoder.config.vocab_size
    if len(tokenizer) > rows:
        raise InputError(
            folder,
            f"at most {rows} tokens, the text encoder's vocabulary",
            str(len(tokenizer)),
            "The tokenizer and the text encoder must come from the same model.",
        )
    return encoder, tokenizer


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _load(generator: Generator, kind: Any, part: str, name: str, **dtype: Any) -> Any:
    """Load one network from safetensors; a tensor that is missing is an error, not a warning."""
    import torch

    folder: Path = generator.files.folder / name
    try:
        network, loaded = kind.from_pretrained(
            str(folder),
            use_safetensors=True,
            local_files_only=True,
            variant=generator.files.variants.get(part),
            output_loading_info=True,
            **dtype,
        )
    except MemoryError:
        raise
    except Exception as error:  # validation, tensors and files each have errors of their own
        raise InputError(folder, f"weights of a {kind.__name__}", _reason(error)) from None
    lacking = sorted(loaded["missing_keys"]) + sorted(map(str, loaded["mismatched_keys"]))
    if lacking:
        raise InputError(
            folder,
            f"every tensor of its {kind.__name__}",
            f"{len(lacking)} missing or of another shape, first {lacking[0]}",
            "Fetch the weights that belong to this config.json.",
        )
    try:
        network.to(generator.device)
    except torch.OutOfMemoryError:
        free = torch.cuda.mem_get_info()[0] / 2**30
        raise InputError(
            "execution.device",
            f"memory on the GPU for the model's {kind.__name__}",
            f"{free:.1f} GiB free",
            "Another program may hold the rest; wait for it, or use another device.",
        ) from None
    return network.eval().requires_grad_(False)


@contextmanager
def _fastest_kernels(device: str) -> Iterator[None]:
    """Let cuDNN try its kernels on the UNet's convolutions, which run thousands of times alike.

    Not on the VAE's: large, of several sizes and soon over, they would be tried for a minute.
    """
    if device != "cuda":
        yield
        return
    import torch

    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = False


def compile_networks(generator: Generator, backend: str = "inductor") -> None:
    """Compile the UNet in place, so that its configuration stays where it was.

    Its convolutions then take channels-last, which tensor cores want. Without a compiler they do
    not: PyTorch's group normalisation goes back to the other layout each time, and loses a tenth.
    The VAE is a twentieth of the work, at two sizes, and not worth a second compilation.
    """
    import torch

    if generator.unet is not None:
        generator.unet.to(memory_format=torch.channels_last)
        generator.unet.compile(backend=backend)
        generator.compiled = True
