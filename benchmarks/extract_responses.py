"""Time and memory of reading the voxels of two areas from one NSD session of its true size.

Writes a session as the release stores it (750 trials x 83 x 104 x 81 int16, a chunk per voxel) in
a temporary folder and reads about 18,000 voxels, all trials, in several ways, each in a process of
its own, with a warm and a cold cache: the script of rule read_betas, which also reads the label
volumes and writes a file for each split; the reader that it uses; the whole volume, masked; h5py's
fancy indexing; and the bare bytes of those voxels, the floor. The same session is then stored
contiguous and compressed, and read by the script and by the reader. The last line printed is one
JSON object. Ends with an error if the reader is not 25 times faster than the whole volume (warm),
if it or the script takes 600 MB, or if two arrays differ.

    python benchmarks/extract_responses.py [--folder FOLDER] [--storages plain gzip contiguous]
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import full_session as session

LEAST_RATIO, MOST_MB = 25, 600
SPLITS = ("train", "validation", "test")


def run_rule(root: Path, index: np.ndarray) -> None:
    """What one job of read_betas does."""
    from workflow_scripts.read_betas import main as read_betas

    outputs = {split: str(root / f"out/{split}.zarr") for split in SPLITS}
    trials = str(root / "trials.parquet")
    read_betas(trials, outputs, session.settings(root), session.SUBJECT, session.PART, 0)


def collect(root: Path) -> np.ndarray:
    """The files of the three splits as one array, trials and voxels in the session's order."""
    from afterimage.stores import read_arrays

    betas = np.empty((session.TRIALS, session.VOXELS), dtype=np.float32)
    for split in SPLITS:
        found = read_arrays(root / f"out/{split}.zarr")
        betas[found["trial"]] = np.concatenate([found[area] for area in session.AREAS], axis=1)
    return betas


def read_ours(root: Path, index: np.ndarray) -> np.ndarray:
    """The reader that the rule uses."""
    from afterimage.datasets.nsd_betas import read_betas

    trials = np.arange(session.TRIALS)
    return read_betas(root / session.SESSION, session.TRIALS, session.GRID, trials, index)[0]


def read_whole(root: Path, index: np.ndarray) -> np.ndarray:
    """The whole session into memory, then a mask: what nsd_access and its users do."""
    import h5py

    with h5py.File(root / session.SESSION, "r") as file:
        everything = file["betas"][:]
    mask = np.zeros(everything.shape[1:], dtype=bool)
    mask.ravel()[index] = True
    return everything[:, mask].astype(np.float32) / np.float32(300)


def read_fancy(root: Path, index: np.ndarray) -> np.ndarray:
    """h5py's fancy indexing, a list of x for each (z, y): it takes one list at a time."""
    import h5py

    with h5py.File(root / session.SESSION, "r") as file:
        betas = file["betas"]
        z, y, x = np.unravel_index(index, betas.shape[1:])
        rows = np.flatnonzero(np.diff(z * session.GRID[1] + y, prepend=-1))
        blocks = [
            betas[:, z[first], y[first], x[first:last]]
            for first, last in zip(rows, [*rows[1:], len(x)], strict=True)
        ]
    return np.concatenate(blocks, axis=1).astype(np.float32) / np.float32(300)


def read_floor(root: Path, index: np.ndarray) -> np.ndarray:
    """The voxels' bytes and nothing else, from places looked up beforehand."""
    path = root / session.SESSION
    places = np.load(path.with_suffix(".places.npy"))
    raw = np.empty((len(index), session.TRIALS), dtype=np.int16)
    with open(path, "rb", buffering=0) as stream:
        for row in np.argsort(places).tolist():
            os.preadv(stream.fileno(), [raw[row]], int(places[row]))
    return raw.T.astype(np.float32) / np.float32(300)


READERS = {
    "rule": run_rule,
    "ours": read_ours,
    "whole": read_whole,
    "fancy": read_fancy,
    "floor": read_floor,
}


def measure(reader: str, root: Path, cache: str) -> None:
    """In a process of its own: read once, print seconds, peak memory and a fingerprint."""
    import hashlib

    index = session.voxels()
    import h5py  # noqa: F401  (imports are not part of the measurement)

    with open(root / session.SESSION, "rb") as stream:
        if cache == "cold":
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        else:
            while stream.read(1 << 24):
                pass
    terminal, sys.stdout = sys.stdout, sys.stderr
    begin, begin_cpu = time.perf_counter(), time.process_time()
    betas = READERS[reader](root, index)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
    sys.stdout = terminal
    # Of this program alone: what getrusage says is never below the size of the one that began it.
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
    betas = collect(root) if reader == "rule" else betas
    digest = hashlib.sha256(np.ascontiguousarray(betas).tobytes()).hexdigest()
    result = {"seconds": seconds, "cpu_seconds": cpu, "peak_mb": peak / 1e6, "sha256": digest}
    print(json.dumps(result))


def run(reader: str, root: Path, storage: str, cache: str, repeats: int) -> dict:
    """The fastest of some runs."""
    command = [sys.executable, __file__, "--measure", reader, str(root), cache]
    results = [
        json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        for _ in range(repeats)
    ]
    best = min(results, key=lambda result: result["seconds"])
    print(
        f"{storage:<11} {cache:<5} {reader:<6} {best['seconds']:8.3f} s"
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


def main(folder: str | None, storages: list[str], repeats: int) -> dict:
    """Write, read, compare, print."""
    result: dict = {"n_voxels": session.VOXELS, "hardware": hardware()}
    result |= {"seconds": {}, "cpu_seconds": {}, "peak_mb": {}}
    digests = []
    with tempfile.TemporaryDirectory(dir=folder) as place:
        root = Path(place)
        session.write_study(root)
        path = root / session.SESSION
        for storage in storages:
            begin = time.perf_counter()
            session.write_session(path, storage)
            size = path.stat().st_size
            took = time.perf_counter() - begin
            print(f"{storage}: {size / 1e9:.2f} GB, written in {took:.0f} s", flush=True)
            if storage == "plain":
                session.find_places(path)
            for cache in ("warm", "cold"):
                for reader in READERS if storage == "plain" else ["rule", "ours"]:
                    best = run(reader, root, storage, cache, repeats)
                    name = f"{storage} {cache} {reader}"
                    result["seconds"][name] = round(best["seconds"], 4)
                    result["cpu_seconds"][name] = round(best["cpu_seconds"], 4)
                    result["peak_mb"][name] = round(best["peak_mb"], 1)
                    digests.append(best["sha256"])
            path.unlink()
    for cache in ("warm", "cold") if "plain" in storages else ():
        for reader in ("ours", "rule"):
            for clock in ("seconds", "cpu_seconds"):
                whole = result[clock][f"plain {cache} whole"]
                ratio = whole / result[clock][f"plain {cache} {reader}"]
                result[f"{cache} {reader} ratio of {clock}"] = round(ratio, 1)
    result["equal"] = len(set(digests)) == 1
    result["failures"] = failures(result)
    print(json.dumps(result))
    return result


def failures(result: dict) -> list[str]:
    """What a run did not reach, in words."""
    said = [] if result["equal"] else ["two ways of reading gave different arrays"]
    ratio = result.get("warm ours ratio of seconds", LEAST_RATIO)
    if ratio < LEAST_RATIO:
        said.append(f"{ratio} times faster than the whole volume, not {LEAST_RATIO}")
    return said + [
        f"{name}: {peak} MB, not below {MOST_MB}"
        for name, peak in result["peak_mb"].items()
        if name.split()[-1] in ("ours", "rule") and peak >= MOST_MB
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", help="where to put the session (2 GB); by default /tmp")
    parser.add_argument("--storages", nargs="+", default=["plain", "contiguous", "gzip"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        reader_name, place, state = arguments.measure
        measure(reader_name, Path(place), state)
    elif missed := main(arguments.folder, arguments.storages, arguments.repeats)["failures"]:
        sys.exit("; ".join(missed))
