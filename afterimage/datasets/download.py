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

PIECE = 1 << 18
BLOCK = 16 << 20
# Tries that bring no byte before a file is given up, and seconds before the first new one.
ATTEMPTS = 5
PAUSE = 0.5
AGAIN = "Run it again: it goes on where it stopped."
CHECK = "Check download.bucket and download.endpoint, and that the bucket is open to everyone."
CHANGED = "The object changed meanwhile: run it again."


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


def choose(client, bucket: str, alternatives: Sequence[str], root: str | Path) -> RemoteFile:
    """One of some keys: the first that is below `root` already, whole, else the bucket's first.

    Raises
    ------
    InputError
        as `find`
    """
    if len(alternatives) > 1:
        for key in alternatives:
            if (Path(root) / key).is_file():
                file = find(client, bucket, [key, *alternatives])
                if _is_whole(Path(root) / file.key, file.size):
                    return file
    return find(client, bucket, alternatives)


def find(client, bucket: str, alternatives: Sequence[str]) -> RemoteFile:
    """The first of some keys that the bucket has.

    Raises
    ------
    InputError
        if it has none of them, refuses, or does not answer
    """
    from botocore.exceptions import BotoCoreError, ClientError

    refused = False
    for key in alternatives:
        where = f"s3://{bucket}/{key}"
        try:
            head = client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            # A bucket that may not be listed answers 403 for keys that it does not have: the next
            # alternative may be there.
            if _status(error) not in (403, 404):
                raise InputError(where, "an answer", _first_line(error), AGAIN) from None
            refused = refused or _status(error) == 403
        except BotoCoreError as error:
            raise InputError(where, "an answer", _first_line(error), AGAIN) from None
        else:
            return RemoteFile(key, int(head["ContentLength"]), head["ETag"].strip('"'))
    found = "access refused (403)" if refused else "none"
    remedy = CHECK if refused else ""
    raise InputError(f"s3://{bucket}", f"an object {alternatives[0]}", found, remedy)


def _status(error) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


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
    return _size(part) if _size(part) <= size else 0


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
    target, part = root / file.key, part_of(root, file)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if _size(part) > file.size:
            part.unlink()
        said = _keep_appending(client, bucket, file, part, done, stop)
        if stop.is_set():
            return
        if _size(part) != file.size:
            where = f"s3://{bucket}/{file.key}"
            raise InputError(where, f"{file.size} bytes", f"{_size(part)} bytes ({said})", AGAIN)
        part.rename(target)
    except OSError as error:
        raise InputError(
            target, "a disk to write to", error.strerror or str(error), AGAIN
        ) from None


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _keep_appending(
    client, bucket: str, file: RemoteFile, part: Path, done: "SimpleQueue[int]", stop
) -> str:
    """Append until the object ends, or until some tries in a row brought nothing.

    Between tries it waits, twice as long after each that brought nothing.

    Returns
    -------
    what the last interruption was, in words

    Raises
    ------
    InputError
        if the bucket refuses: no further try would help
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError

    # botocore passes on what it has no name for, such as urllib3's errors of TLS.
    interruptions = (BotoCoreError, ClientError, HTTPError, ConnectionError)
    said, fruitless = "nothing more came", 0
    while fruitless < ATTEMPTS and not stop.is_set():
        before = _size(part)
        try:
            _append(client, bucket, file, part, done, stop)
            return said
        except interruptions as error:
            if isinstance(error, ClientError):
                _give_up_if_refused(error, f"s3://{bucket}/{file.key}")
            said = _first_line(error)
        fruitless = 0 if _size(part) > before else fruitless + 1
        if fruitless < ATTEMPTS:
            stop.wait(PAUSE * 2**fruitless)
    return said


def _give_up_if_refused(error, where: str) -> None:
    """Raise InputError for answers that are the same however often one asks."""
    status = _status(error)
    if status == 412:
        raise InputError(where, "the object as it was found", "another", CHANGED) from None
    if 400 <= status < 500 and status not in (408, 429):
        found = f"access refused ({status})" if status == 403 else _first_line(error)
        raise InputError(where, "an object to read", found, CHECK) from None


def _append(
    client, bucket: str, file: RemoteFile, part: Path, done: "SimpleQueue[int]", stop
) -> None:
    offset = _size(part)
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
