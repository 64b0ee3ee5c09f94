"""State for resuming a training run: whole or absent, without pickle."""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from afterimage import stores

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

# Saving may take at most about this share of the time: large networks skip some epochs.
SHARE_OF_TIME = 0.1


class Checkpoints:
    """The newest state in a folder: network, optimiser, best weights and history.

    `state.json` is written last and names the two tensor files that belong to it, so a kill at any
    moment leaves the state before or the state after. Without a folder it does nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._not_before = 0.0

    def restore(
        self, network: "nn.Module", optimiser: "torch.optim.Optimizer", device: str
    ) -> tuple[list[dict[str, float]], dict[str, "Tensor"]]:
        """Load the newest state into network and optimiser; give history and best weights."""
        from safetensors.torch import load_file

        if self.folder is None or not (self.folder / "state.json").exists():
            return [], {}
        state = stores.read_json(self.folder / "state.json")
        last = load_file(self.folder / state["last"], device=device)
        best = load_file(self.folder / state["best"], device=device)
        network.load_state_dict(_part(last, "network/"))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _part(last, "optimiser/").items():
            index, _, kind = name.partition("/")
            moments.setdefault(int(index), {})[kind] = value
        optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
        print(f"resuming after epoch {len(state['history'])}", flush=True)
        return state["history"], best

    def save(
        self,
        history: list[dict[str, float]],
        network: "nn.Module",
        optimiser: "torch.optim.Optimizer",
        best: Mapping[str, "Tensor"],
    ) -> None:
        """Replace the state by the present one, unless saving would take too much of the time."""
        from safetensors.torch import save_file

        begin = time.monotonic()
        if self.folder is None or begin < self._not_before:
            return
        best_row = min(history, key=lambda row: row["validation"])
        tensors = {f"network/{name}": value for name, value in network.state_dict().items()}
        for index, moments in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{index}/{name}": value for name, value in moments.items()}
        state = {
            "last": f"last-{len(history)}.safetensors",
            "best": f"best-{best_row['epoch']}.safetensors",
        }
        with stores.whole(self.folder / state["last"]) as temporary:
            save_file(tensors, temporary)
        if not (self.folder / state["best"]).exists():
            with stores.whole(self.folder / state["best"]) as temporary:
                save_file(dict(best), temporary)
        stores.write_json(self.folder / "state.json", {**state, "history": history})
        for file in self.folder.glob("*.safetensors"):
            if file.name not in state.values():
                file.unlink()
        end = time.monotonic()
        self._not_before = end + (end - begin) / SHARE_OF_TIME


def clear(folder: str | Path) -> None:
    """Remove a job's state, once its outputs are there."""
    shutil.rmtree(folder, ignore_errors=True)


def _part(tensors: Mapping[str, "Tensor"], prefix: str) -> dict[str, "Tensor"]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
