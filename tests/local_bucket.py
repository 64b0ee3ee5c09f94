"""A local S3 server that holds a release, and a line to it that can go dead."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BUCKET = "natural-scenes-dataset"


@contextmanager
def running_server() -> Iterator[str]:
    """The URL of an S3 server of this process."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def filled_bucket(server: str, root: Path, access: str = "public-read") -> Iterator[None]:
    """Put every file below `root` in the bucket, captions left out: they are not NSD's."""
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "s3", endpoint_url=server, region_name="us-east-2", aws_access_key_id="a",
        aws_secret_access_key="b", config=Config(retries={"max_attempts": 2}),
    )  # fmt: skip
    client.create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-east-2"}
    )
    for path in root.rglob("*"):
        if path.is_file() and "annotations" not in path.parts:
            key = str(path.relative_to(root))
            client.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes(), ACL=access)
    yield
    for entry in client.list_objects_v2(Bucket=BUCKET)["Contents"]:
        client.delete_object(Bucket=BUCKET, Key=entry["Key"])
    client.delete_bucket(Bucket=BUCKET)


class Line:
    """A line to a server that carries some bytes and then nothing, until it is mended."""

    def __init__(self, server: str, n_bytes: int) -> None:
        self.server = server.removeprefix("http://").split(":")
        self.left, self.asked = n_bytes, b""
        self.dead, self.mended = threading.Event(), threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def url(self) -> str:
        """Where the near end of the line is."""
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def mend(self) -> None:
        """Carry everything from now on, and forget what was asked before."""
        self.asked = b""
        self.mended.set()

    def close(self) -> None:
        """Take no more calls."""
        self.mended.set()
        self.listener.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection((self.server[0], int(self.server[1])))
                for ends in ((near, far, False), (far, near, True)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(1 << 14):
                if not counted:
                    self.asked += piece
                else:
                    self.left -= len(piece)
                    if self.left < 0 and not self.mended.is_set():
                        self.dead.set()
                        self.mended.wait()
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
