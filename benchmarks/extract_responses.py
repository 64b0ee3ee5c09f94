"""Time and memory of reading the voxels of two areas from one NSD session of its true size.

Writes a session as the release stores it (750 trials x 83 x 104 x 81 int16, a chunk per voxel) in
a temporary folder and reads about 18,000 voxels, all trials, in several ways, each in a process of
its own, with a warm and a cold cache: this project's reader; the whole volume, masked; h5py's fancy
indexing; and the bare bytes of those voxels, the floor. The same session is then stored contiguous
and compressed, and read by this project's reader. The last line printed is one JSON object.

    python benchmarks/extract_responses.py [--folder FOLDER] [--storages plain gzip contiguous]
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

TRIALS = 750
GRID = (81, 104, 83)
VOXELS = 18_235


def voxels() -> np.ndarray:
    """Flat (z, y, x) positions of a folded sheet in the back of the volume, as cortex lies."""
    x, y, z = np.meshgrid(*(np.arange(side) for side in GRID), indexing="ij")
    radius = np.hypot(np.hypot(x - 40, y - 30), z - 40) + 2 * np.sin(x / 3) * np.cos(z / 4)
    distance = np.where(y < 45, np.abs(radius - 27), np.inf)
    nearest = np.argsort(distance, axis=None, kind="stable")[:VOXELS]
    sheet = np.zeros(GRID, dtype=bool)
    sheet.ravel()[nearest] = True
    return np.flatnonzero(sheet.transpose(2, 1, 0))


def write_session(path: Path, storage: str) -> None:
    """Write random betas; every storage holds the same values."""
    import h5py

    rng = np.random.default_rng(0)
    options = {
        "plain": {"chunks": (TRIALS, 1, 1, 1)},
        "gzip": {"chunks": (TRIALS, 1, 1, 1), "compression": "gzip", "compression_opts": 1},
        "contiguous": {},
    }[storage]
    with h5py.File(path, "w") as file:
        betas = file.create_dataset("betas", (TRIALS, *GRID[::-1]), "int16", **options)
        for z in range(GRID[2]):
            steps = rng.integers(-3000, 3000, (*GRID[1::-1], TRIALS), dtype=np.int16)
            if storage == "plain":
                for y, x in np.ndindex(GRID[1], GRID[0]):
                    betas.id.write_direct_chunk((0, z, y, x), steps[y, x].tobytes())
            else:
                betas[:, z] = np.moveaxis(steps, -1, 0)
    with open(path, "rb") as stream:
        os.fsync(stream.fileno())


def read_ours(path: Path, index: np.ndarray) -> np.ndarray:
    from afterimage.datasets.nsd_betas import read_betas

    return read_betas(path, TRIALS, GRID, np.arange(TRIALS), index)[0]


def read_whole(path: Path, index: np.ndarray) -> np.ndarray:
    """The whole session into memory, then a mask: what nsd_access and its users do."""
    import h5py

    with h5py.File(path, "r") as file:
        session = file["betas"][:]
    mask = np.zeros(session.shape[1:], dtype=bool)
    mask.ravel()[index] = True
    return session[:, mask].astype(np.float32) / np.float32(300)


def read_fancy(path: Path, index: np.ndarray) -> np.ndarray:
    """h5py's fancy indexing, a list of x for each (z, y): it takes one list at a time."""
    import h5py

    with h5py.File(path, "r") as file:
        betas = file["betas"]
        z, y, x = np.unravel_index(index, betas.shape[1:])
        rows = np.flatnonzero(np.diff(z * GRID[1] + y, prepend=-1))
        blocks = [
            betas[:, z[first], y[first], x[first:last]]
            for first, last in zip(rows, [*rows[1:], len(x)], strict=True)
        ]
    return np.concatenate(blocks, axis=1).astype(np.float32) / np.float32(300)


def read_floor(path: Path, index: np.ndarray) -> np.ndarray:
    """The voxels' bytes and nothing else, from places looked up beforehand."""
    places = np.load(path.with_suffix(".places.npy"))
    raw = np.empty((len(index), TRIALS), dtype=np.int16)
    with open(path, "rb", buffering=0) as stream:
        for row in np.argsort(places).tolist():
            os.preadv(stream.fileno(), [raw[row]], int(places[row]))
    return raw.T.astype(np.float32) / np.float32(300)


def find_places(path: Path, index: np.ndarray) -> None:
    """Write where in the file each voxel's chunk begins."""
    import h5py

    with h5py.File(path, "r") as file:
        betas = file["betas"]
        offset = np.zeros(betas.shape[1:], dtype=np.int64)

        def note(chunk) -> None:
            offset[chunk.chunk_offset[1:]] = chunk.byte_offset

        betas.id.chunk_iter(note)
    np.save(path.with_suffix(".places.npy"), offset.ravel()[index])


READERS = {"ours": read_ours, "whole": read_whole, "fancy": read_fancy, "floor": read_floor}


def measure(reader: str, path: Path, cache: str) -> None:
    """In a process of its own: read once, print seconds, peak memory and a fingerprint."""
    import hashlib

    index = voxels()
    import h5py  # noqa: F401  (imports are not part of the measurement)

    with open(path, "rb") as stream:
        if cache == "cold":
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        else:
            while stream.read(1 << 24):
                pass
    begin, begin_cpu = time.perf_counter(), time.process_time()
    betas = READERS[reader](path, index)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    digest = hashlib.sha256(np.ascontiguousarray(betas).tobytes()).hexdigest()
    result = {"seconds": seconds, "cpu_seconds": cpu, "peak_mb": peak / 1e6, "sha256": digest}
    print(json.dumps(result))


def run(reader: str, path: Path, cache: str, repeats: int) -> dict:
    """The fastest of some runs."""
    command = [sys.executable, __file__, "--measure", reader, str(path), cache]
    results = [
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for _ in range(repeats)
    ]
    best = min(results, key=lambda result: result["seconds"])
    print(
        f"{path.stem:<11} {cache:<5} {reader:<6} {best['seconds']:8.3f} s"
        f" ({best['cpu_seconds']:.3f} s of processor) {best['peak_mb']:8.0f} MB",
        flush=True,
    )
    return best


def hardware() -> dict:
    """What it was measured on."""
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 1e9),
        "load": os.getloadavg()[0],
    }


def main(folder: str | None, storages: list[str], repeats: int) -> None:
    """Write, read, compare, print."""
    result: dict = {"n_voxels": VOXELS, "hardware": hardware()}
    result |= {"seconds": {}, "cpu_seconds": {}, "peak_mb": {}}
    digests = []
    with tempfile.TemporaryDirectory(dir=folder) as place:
        index = voxels()
        for storage in storages:
            path = Path(place) / f"{storage}.hdf5"
            begin = time.perf_counter()
            write_session(path, storage)
            size = path.stat().st_size
            took = time.perf_counter() - begin
            print(f"{storage}: {size / 1e9:.2f} GB, written in {took:.0f} s", flush=True)
            if storage == "plain":
                find_places(path, index)
            for cache in ("warm", "cold"):
                for reader in READERS if storage == "plain" else ["ours"]:
                    best = run(reader, path, cache, repeats)
                    name = f"{storage} {cache} {reader}"
                    result["seconds"][name] = round(best["seconds"], 4)
                    result["cpu_seconds"][name] = round(best["cpu_seconds"], 4)
                    result["peak_mb"][name] = round(best["peak_mb"], 1)
                    digests.append(best["sha256"])
            path.unlink()
    seconds = result["seconds"]
    for cache in ("warm", "cold") if "plain" in storages else ():
        ours, whole = f"plain {cache} ours", f"plain {cache} whole"
        name = "ratio" if cache == "warm" else "ratio_cold"
        result[name] = round(seconds[whole] / seconds[ours], 1)
        used = result["cpu_seconds"]
        result[f"{name}_processor"] = round(used[whole] / used[ours], 1)
    result["equal"] = len(set(digests)) == 1
    print(json.dumps(result))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", help="where to put the session (2 GB); by default /tmp")
    parser.add_argument("--storages", nargs="+", default=["plain", "contiguous", "gzip"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        reader_name, session, state = arguments.measure
        measure(reader_name, Path(session), state)
    else:
        main(arguments.folder, arguments.storages, arguments.repeats)
