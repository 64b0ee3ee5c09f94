"""Jobs of the full study, and how long Snakemake takes to find them.

    python benchmarks/scale.py

NSD's eight subjects and THINGS-fMRI's three, every decoder and method, four shards a method: a dry
run of everything from the raw files on. Ends with an error at 3,000 jobs or 15 seconds.
"""

import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
MOST_JOBS = 3000
MOST_SECONDS = 15.0


def full_study() -> dict:
    """An overlay of both studies at full size; the report's voxel counts are one subject's."""
    nsd, things = (
        yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()) for name in ("nsd", "things")
    )
    datasets = {**nsd["datasets"], **things["datasets"]}
    datasets["nsd"]["subjects"] = [f"subj{number:02d}" for number in range(1, 9)]
    datasets["things"]["subjects"] = [f"sub-{number:02d}" for number in range(1, 4)]
    for settings in datasets.values():
        settings["sessions"] = [1, 40]
        settings["shards"] = 4
        for area in settings["areas"].values():
            area["expected_voxels"] = None
    del datasets["things"]["sessions"]
    return {**nsd, "run": {**nsd["run"], "datasets": [*datasets]}, "datasets": datasets}


def dry_run(config: dict) -> tuple[dict[str, int], float, float]:
    """Jobs by rule, and the seconds that a dry run takes, by the clock and of processor."""
    with tempfile.TemporaryDirectory() as folder:
        overlay = Path(folder, "full.json")
        overlay.write_text(json.dumps(config))
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        command += ["--cores", "2", "--dry-run", "--quiet", "rules", "--configfile", str(overlay)]
        begin = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        seconds = time.monotonic() - begin
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    rows = re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, flags=re.MULTILINE)
    return {rule: int(count) for rule, count in rows}, seconds, used.ru_utime + used.ru_stime


def main() -> None:
    """Print the jobs and the time, and hold them to the bounds."""
    counts, seconds, busy = dry_run(full_study())
    for rule, count in counts.items():
        print(f"{rule:<20}{count:>6}")
    print(f"dry run: {seconds:.1f} s, of which {busy:.1f} s of processor")
    holds = counts["total"] < MOST_JOBS and seconds < MOST_SECONDS
    # There is nothing to run beside: the ratio is the time allowed over the time taken.
    print(
        json.dumps(
            {
                "ratio": round(MOST_SECONDS / seconds, 2),
                "equal": holds,
                "jobs": counts["total"],
                "hardware": f"{platform.machine()}, {os.cpu_count()} cores",
            }
        )
    )
    if not holds:
        raise SystemExit(f"more than {MOST_JOBS} jobs or {MOST_SECONDS:.0f} s")


if __name__ == "__main__":
    main()
