"""Fetching one object over a bad line, and from a bucket that refuses."""

import threading
from queue import SimpleQueue

import pytest

from afterimage.datasets import download
from afterimage.errors import InputError
from tests.local_bucket import BUCKET, filled_bucket, running_server

CONTENT = bytes(range(256)) * 8


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 0.001)


class Faltering:
    """A client whose connection breaks after some bytes of each object, or before any."""

    def __init__(self, client, pieces: list[int]) -> None:
        self.client, self.pieces, self.asked = client, pieces, 0

    def get_object(self, **arguments):
        body = self.client.get_object(**arguments)["Body"].read()
        n_bytes = self.pieces[min(self.asked, len(self.pieces) - 1)]
        self.asked += 1

        class Body:
            @staticmethod
            def iter_chunks(size):
                if n_bytes:
                    yield body[:n_bytes]
                if n_bytes < len(body):
                    raise ConnectionError("the line went dead")

        return {"Body": Body}


@pytest.fixture
def one_file(tmp_path):
    """A client of a bucket with one object, and that object."""
    (tmp_path / "release").mkdir()
    (tmp_path / "release/betas.hdf5").write_bytes(CONTENT)
    with running_server() as server, filled_bucket(server, tmp_path / "release"):
        client = download.connect(server)
        yield client, download.find(client, BUCKET, ["betas.hdf5"])


def test_tries_are_counted_only_where_nothing_came(one_file, tmp_path, monkeypatch):
    """A bad line that always brings something is a slow one; after a byte the count begins anew."""
    client, file = one_file
    waits = []
    monkeypatch.setattr(download, "PAUSE", 1.0)

    class Stop(threading.Event):
        def wait(self, timeout=None):
            waits.append(timeout)
            return False

    pieces = [0, 0, 0, 0, 100, 0, 0, 0, 0, *[100] * 100]
    faltering = Faltering(client, pieces)
    download._fetch(faltering, BUCKET, file, tmp_path / "mine", SimpleQueue(), Stop())
    assert (tmp_path / "mine" / file.key).read_bytes() == CONTENT
    assert faltering.asked == 8 + -(-file.size // 100)
    assert waits[:10] == [2, 4, 8, 16, 1, 2, 4, 8, 16, 1]


def test_a_dead_line_is_given_up_after_some_tries(one_file, tmp_path):
    client, file = one_file
    faltering = Faltering(client, [100, 0])
    with pytest.raises(InputError, match=r"found 100 bytes .the line went dead.*goes on"):
        download._fetch(
            faltering, BUCKET, file, tmp_path / "mine", SimpleQueue(), threading.Event()
        )
    assert faltering.asked == 1 + download.ATTEMPTS


def refusing(status: int, code: str):
    """A client that every question is refused."""
    from botocore.exceptions import ClientError

    class Client:
        asked = 0

        def refuse(self, **arguments):
            self.asked += 1
            said = {
                "Error": {"Code": code, "Message": "no"},
                "ResponseMetadata": {"HTTPStatusCode": status},
            }
            raise ClientError(said, "GetObject")

        get_object = head_object = refuse

    return Client()


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "AccessDenied", r"found access refused \(403\)\. Check download\.bucket"),
        (404, "NoSuchKey", "an object to read, found .*NoSuchKey"),
        (412, "PreconditionFailed", "as it was found, found another"),
    ],
)
def test_a_refusal_is_said_at_once(tmp_path, status, code, said):
    client, file = refusing(status, code), download.RemoteFile("a/b", 10, "e")
    with pytest.raises(InputError, match=said) as caught:
        download._fetch(client, BUCKET, file, tmp_path, SimpleQueue(), threading.Event())
    assert client.asked == 1
    assert "\n" not in str(caught.value)


def test_a_bucket_that_refuses_to_say_what_it_has():
    client = refusing(403, "403")
    with pytest.raises(InputError, match=r"an object a, found access refused \(403\)\. Check"):
        download.find(client, BUCKET, ["a", "b"])
    assert client.asked == 2
    with pytest.raises(InputError, match=r"s3://natural-scenes-dataset/a: .*SlowDown.*Run it"):
        download.find(refusing(503, "SlowDown"), BUCKET, ["a", "b"])


def test_a_break_in_tls_is_a_broken_line(tmp_path):
    """botocore's body passes urllib3's errors of TLS on as they are."""
    import urllib3
    from botocore.response import StreamingBody

    class Raw:
        def __init__(self, content: bytes) -> None:
            self.pieces = [content[:700]]

        def read(self, amt=None):
            if self.pieces:
                return self.pieces.pop()
            raise urllib3.exceptions.SSLError("EOF occurred in violation of protocol")

    class Client:
        def get_object(self, Range, **arguments):
            rest = CONTENT[int(Range.removeprefix("bytes=").rstrip("-")) :]
            return {"Body": StreamingBody(Raw(rest), len(rest))}

    file = download.RemoteFile("betas.hdf5", len(CONTENT), "e")
    download._fetch(Client(), BUCKET, file, tmp_path, SimpleQueue(), threading.Event())
    assert (tmp_path / "betas.hdf5").read_bytes() == CONTENT


@pytest.mark.parametrize("found_again", [True, False])
def test_two_versions_of_an_object_are_never_joined(one_file, tmp_path, found_again):
    """Of the same size: only its version tells that it changed after an interruption."""
    client, file = one_file
    root, arguments = tmp_path / "mine", (SimpleQueue(), threading.Event())
    with pytest.raises(InputError, match="found 100 bytes"):
        download._fetch(Faltering(client, [100, 0]), BUCKET, file, root, *arguments)
    import boto3

    owner = boto3.client(
        "s3", endpoint_url=client.meta.endpoint_url, region_name="us-east-2",
        aws_access_key_id="a", aws_secret_access_key="b",
    )  # fmt: skip
    owner.put_object(Bucket=BUCKET, Key=file.key, Body=CONTENT[::-1], ACL="public-read")
    if found_again:
        again = download.find(client, BUCKET, [file.key])
        download._fetch(client, BUCKET, again, root, *arguments)
        assert (root / file.key).read_bytes() == CONTENT[::-1]
    else:
        with pytest.raises(InputError, match="as it was found, found another"):
            download._fetch(client, BUCKET, file, root, *arguments)
        assert not (root / file.key).exists()
