"""Fetching objects of a public S3 bucket: in parallel, resumed where it stopped, size-checked."""

import shutil
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from afterimage.errors import InputError
from afterimage.jobs import progress

PIECE = 1 << 20
BLOCK = 16 << 20
ATTEMPTS = 5
AGAIN = "Run it again: it goes on where it stopped."


@dataclass(frozen=True)
class RemoteFile:
    """An object of the bucket: its key, which is also its path below the root."""

    key: str
    size: int
    etag: str


def connect(endpoint: str | None = None):
    """An S3 client that signs nothing: public buckets need no account.

    Parameters
    ----------
    endpoint : another server's URL than Amazon's
    """
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    config = Config(
        signature_version=UNSIGNED,
        retries={"max_attempts": ATTEMPTS, "mode": "standard"},
        max_pool_connections=32,
    )
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-2", config=config)


def find(client, bucket: str, alternatives: Sequence[str]) -> RemoteFile:
    """The first of some keys that the bucket has.

    Raises
    ------
    InputError
        if it has none of them, or does not answer
    """
    from botocore.exceptions import BotoCoreError, ClientError

    for key in alternatives:
        try:
            head = client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            # A public bucket that cannot be listed answers 403 for keys that it does not have.
            if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound", "403"):
                continue
            raise InputError(f"s3://{bucket}/{key}", "an answer", str(error), AGAIN) from None
        except BotoCoreError as error:
            raise InputError(f"s3://{bucket}/{key}", "an answer", str(error), AGAIN) from None
        return RemoteFile(key, int(head["ContentLength"]), head["ETag"].strip('"'))
    raise InputError(f"s3://{bucket}", f"an object {alternatives[0]}", "none")


def fetch_all(
    client, bucket: str, files: Sequence[RemoteFile], root: str | Path, workers: int = 8
) -> list[RemoteFile]:
    """Fetch what is not there yet, largest first.

    A file that is there with its right size is left alone. What is being fetched has a name with
    `.part`, and is continued there after an interruption, as long as the object is the same.

    Returns
    -------
    the files that were fetched

    Raises
    ------
    InputError
        if the disk has no room, the bucket fails, or a size is not the promised one
    """
    root = Path(root)
    missing = [file for file in files if not _is_whole(root / file.key, file.size)]
    missing.sort(key=lambda file: (-file.size, file.key))
    left = sum(file.size - _resumed(part_of(root, file), file.size) for file in missing)
    _require_room(root, left)
    done: SimpleQueue[int] = SimpleQueue()
    stop = threading.Event()
    with ThreadPoolExecutor(max(1, workers)) as pool:
        jobs = [pool.submit(_fetch, client, bucket, file, root, done, stop) for file in missing]
        try:
            what = f"downloading {len(missing)} files, blocks of 16 MiB"
            for _ in progress(_blocks(done, jobs), what, max(1, -(-left // BLOCK))):
                pass
        except BaseException:
            stop.set()
            raise
    for job in jobs:
        job.result()
    return missing


def part_of(root: Path, file: RemoteFile) -> Path:
    """Where a file grows: its name tells the object's version, so that two are never joined."""
    target = root / file.key
    version = "".join(letter for letter in file.etag if letter.isalnum() or letter == "-")
    return target.with_name(f".{target.name}.{version}.part")


def _is_whole(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _resumed(part: Path, size: int) -> int:
    there = part.stat().st_size if part.is_file() else 0
    return there if there <= size else 0


def _require_room(root: Path, wanted: int) -> None:
    place = root
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < wanted:
        raise InputError(root, f"room for {wanted / 1e9:.1f} GB", f"{free / 1e9:.1f} GB free")


def _blocks(done: "SimpleQueue[int]", jobs: Sequence[Future]) -> Iterator[int]:
    """Yield once per block that arrived, until all jobs ended or one failed."""
    arrived = told = 0
    while True:
        finished = all(job.done() for job in jobs)
        failed = [job for job in jobs if job.done() and job.exception()]
        if failed:
            failed[0].result()
        try:
            arrived += done.get(timeout=0.0 if finished else 0.2)
        except Empty:
            if finished:
                break
        while arrived >= (told + 1) * BLOCK:
            told += 1
            yield told
    if arrived > told * BLOCK:
        yield told + 1


def _fetch(
    client, bucket: str, file: RemoteFile, root: Path, done: "SimpleQueue[int]", stop
) -> None:
    """Fetch one file, going on after each interruption as long as bytes keep coming."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

    target, part = root / file.key, part_of(root, file)
    said = "nothing"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if part.is_file() and part.stat().st_size > file.size:
            part.unlink()
        for _ in range(ATTEMPTS):
            try:
                _append(client, bucket, file, part, done, stop)
            except (BotoCoreError, ClientError, HTTPClientError, ConnectionError) as error:
                said = str(error).splitlines()[0]
                continue
            break
        if stop.is_set():
            return
        size = part.stat().st_size if part.exists() else 0
        if size != file.size:
            where = f"s3://{bucket}/{file.key}"
            raise InputError(where, f"{file.size} bytes", f"{size} bytes ({said})", AGAIN)
        part.rename(target)
    except OSError as error:
        raise InputError(target, "a place to write", str(error), AGAIN) from None


def _append(
    client, bucket: str, file: RemoteFile, part: Path, done: "SimpleQueue[int]", stop
) -> None:
    offset = part.stat().st_size if part.is_file() else 0
    if offset == file.size:
        part.touch()
        return
    body = client.get_object(
        Bucket=bucket, Key=file.key, Range=f"bytes={offset}-", IfMatch=f'"{file.etag}"'
    )["Body"]
    with open(part, "ab") as stream:
        for piece in body.iter_chunks(PIECE):
            if stop.is_set():
                return
            stream.write(piece)
            done.put(len(piece))
