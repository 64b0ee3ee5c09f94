"""What an interrupted job has finished is kept beside its output and not made again."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from afterimage.errors import InputError
from afterimage.jobs import progress
from afterimage.stores import create_array, read_json, whole, write_arrays, write_json


def fingerprint(*values: Any) -> str:
    """A digest of JSON values and arrays: equal inputs, equal digest."""
    digest = hashlib.sha256()
    for value in values:
        if isinstance(value, np.ndarray) and value.dtype.kind not in "OUT":
            digest.update(f"{value.dtype}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).tobytes())
        else:
            value = value.tolist() if isinstance(value, np.ndarray) else value
            digest.update(json.dumps(value, sort_keys=True, default=str).encode())
        digest.update(b"\0")
    return digest.hexdigest()


class State:
    """A folder of finished portions that belong to one set of inputs.

    Portions of other inputs are removed on opening. `settings` are what was decided when the work
    began (such as the batch size): a continued job works by them, whatever it was given itself.
    """

    def __init__(self, folder: str | Path, inputs: str, settings: dict[str, Any]) -> None:
        self.folder = Path(folder)
        plan = self.folder / "plan.json"
        if plan.is_file() and read_json(plan)["inputs"] == inputs:
            settings = read_json(plan)["settings"]
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
            write_json(plan, {"inputs": inputs, "settings": settings})
        self.settings = settings

    def portion(self, index: int) -> Path:
        """Where portion `index` stands once it is finished."""
        return self.folder / f"portion{index:05d}"

    def finished(self, index: int) -> bool:
        """Whether portion `index` is whole."""
        return self.portion(index).exists()

    def close(self) -> None:
        """Remove the folder: its portions have gone into the output."""
        shutil.rmtree(self.folder, ignore_errors=True)


def stream_rows(
    outputs: Mapping[str, Sequence[str]],
    state: State,
    name: str,
    row_shape: tuple[int, ...],
    compute: Callable[[Any], np.ndarray],
    read: Callable[[list[str]], Sequence[Any]],
    attributes: dict[str, Any],
) -> None:
    """Compute an array's rows block by block and write them as zarr groups.

    Parameters
    ----------
    outputs : zarr group to write -> its image ids; a block holds images of one group only
    name : of the array, float32 (image_ids, *row_shape); the group also gets `image_id`
    read : gives a block's raw material from its ids, JSON values and arrays; the next block is read
        while one is computed. A finished block is read again and kept if its material is the same
    compute : gives a block's rows, float32 (block, *row_shape), from its raw material

    Raises
    ------
    InputError
        if a row is not finite
    """
    size = state.settings["block"]
    blocks = [
        list(image_ids[first : first + size])
        for image_ids in outputs.values()
        for first in range(0, len(image_ids), size)
    ]
    kept = _still_valid(state, blocks, read)
    open_blocks = [index for index in range(len(blocks)) if index not in kept]
    if kept:
        print(f"{len(kept)} of {len(blocks)} blocks were finished before", flush=True)
    material = read_ahead(read, [blocks[index] for index in open_blocks])
    paired = zip(open_blocks, material, strict=True)
    for index, raw in progress(paired, f"blocks of {size} images", total=len(open_blocks)):
        rows = compute(raw)
        _check_finite(rows, blocks[index], name)
        with whole(state.portion(index)) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, rows=rows, material=fingerprint(*raw))
    portions = iter(range(len(blocks)))
    for out, image_ids in outputs.items():
        mine = [next(portions) for _ in range(0, len(image_ids), size)]
        _gather(out, state, name, image_ids, row_shape, mine, attributes)
    state.close()


def _still_valid(
    state: State, blocks: Sequence[list[str]], read: Callable[[list[str]], Sequence[Any]]
) -> set[int]:
    """The finished blocks that were made from what `read` gives now: a picture may be another."""
    finished = [index for index in range(len(blocks)) if state.finished(index)]
    material = read_ahead(read, [blocks[index] for index in finished])
    paired = zip(finished, material, strict=True)
    return {
        index
        for index, raw in progress(paired, "finished blocks compared", total=len(finished))
        if _load(state, index, "material") == fingerprint(*raw)
    }


def _load(state: State, index: int, name: str) -> np.ndarray:
    with np.load(state.portion(index), allow_pickle=False) as portion:
        return portion[name]


def read_ahead(read: Callable[[list[str]], Any], blocks: Sequence[list[str]]):
    """Yield read(block) for each block, reading the next while one is used."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        upcoming = pool.submit(read, blocks[0]) if blocks else None
        for following in [*blocks[1:], None]:
            if upcoming is None:
                return
            raw = upcoming.result()
            upcoming = pool.submit(read, following) if following is not None else None
            yield raw


def _check_finite(rows: np.ndarray, image_ids: list[str], name: str) -> None:
    finite = np.isfinite(rows).all(axis=tuple(range(1, rows.ndim)))
    if not finite.all():
        raise InputError(
            f"latent {name} of image {image_ids[int(np.argmin(finite))]}",
            "finite values",
            "NaN or infinite ones",
            "With float16, try execution.precision float32.",
        )


def _gather(
    out: str | Path,
    state: State,
    name: str,
    image_ids: Sequence[str],
    row_shape: tuple[int, ...],
    portions: Sequence[int],
    attributes: dict[str, Any],
) -> None:
    import zarr

    with whole(out) as temporary:
        write_arrays(temporary, {"image_id": np.array(image_ids, dtype=str)}, attributes)
        group = zarr.open_group(str(temporary), mode="a")
        target = create_array(group, name, (len(image_ids), *row_shape), "float32")
        first = 0
        for index in portions:
            rows = _load(state, index, "rows")
            target[first : first + len(rows)] = rows
            first += len(rows)
