"""download_nsd against a local S3 server: exactly what is needed, resumed, checked, in parallel."""

import errno
import os
from pathlib import Path

import pytest

from afterimage.datasets import download
from afterimage.datasets.nsd_files import needed_objects
from afterimage.errors import InputError
from tests import raw_files
from tests.local_bucket import BUCKET, filled_bucket, running_server
from workflow_scripts import check_data, download_nsd


@pytest.fixture(scope="module")
def server():
    with running_server() as url:
        yield url


@pytest.fixture
def release(server, tmp_path):
    """The tiny release, and files that nobody asked for, in a fresh bucket; its folder."""
    root = tmp_path / "release"
    raw_files.write_nsd(root)
    (root / raw_files.NSD_BETAS / "meanbeta.nii.gz").write_bytes(b"not needed")
    (root / raw_files.NSD_ROI / "floc-faces.nii.gz").write_bytes(b"not needed")
    with filled_bucket(server, root):
        yield root


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 0.001)


@pytest.fixture
def settings(tmp_path):
    return raw_files.nsd_settings(tmp_path / "mine") | {"accept_nsd_terms": True}


def fetch(settings: dict, server: str) -> None:
    download_nsd.main({"nsd": settings}, BUCKET, server, workers=3)


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_exactly_what_the_config_needs_arrives_whole(release, settings, server, tmp_path):
    fetch(settings, server)
    root = tmp_path / "mine"
    expected = {
        name for name in files(release)
        if "annotations" not in name and "meanbeta" not in name and "floc" not in name
    }  # fmt: skip
    assert files(root) == expected
    assert len(expected) == 10
    for name in expected:
        assert (root / name).read_bytes() == (release / name).read_bytes()


def test_what_arrived_passes_the_check_once_the_captions_are_there(
    release, settings, server, tmp_path
):
    fetch(settings, server)
    with pytest.raises(InputError, match=r"captions_train2017.json.*images\.cocodataset\.org"):
        check_data.main({"nsd": settings}, str(tmp_path / "check.txt"), show=lambda text: None)
    place = "nsddata_stimuli/stimuli/nsd/annotations"
    (release / place).rename(tmp_path / "mine" / place)
    check_data.main({"nsd": settings}, str(tmp_path / "check.txt"), show=lambda text: None)


def test_an_interrupted_download_goes_on_where_it_stopped(
    release, settings, server, tmp_path, monkeypatch, capsys
):
    """The connection breaks in the middle of every file, for good; then everything is well."""
    monkeypatch.setattr(download, "PIECE", 512)
    whole_append, asked = download._append, []

    def breaks(client, bucket, file, part, done, stop):
        class Half:
            @staticmethod
            def get_object(**arguments):
                body = client.get_object(**arguments)["Body"].read()
                pieces = [body[: file.size // 2][:512]] if not part.exists() else []

                class Body:
                    @staticmethod
                    def iter_chunks(size):
                        yield from pieces
                        raise ConnectionError("the line went dead")

                return {"Body": Body}

        return whole_append(Half, bucket, file, part, done, stop)

    monkeypatch.setattr(download, "_append", breaks)
    with pytest.raises(InputError, match=r"bytes, found \d+ bytes \(the line went dead\).*goes on"):
        fetch(settings, server)
    root = tmp_path / "mine"
    parts = {name for name in files(root) if name.endswith(".part")}
    begun = sum((root / name).stat().st_size for name in parts)
    assert begun > 0
    assert files(root) == parts  # no file has its own name before it is whole

    def watched(client, bucket, file, part, done, stop):
        asked.append(file.size - (part.stat().st_size if part.exists() else 0))
        return whole_append(client, bucket, file, part, done, stop)

    monkeypatch.setattr(download, "_append", watched)
    fetch(settings, server)
    sizes = sum((release / name).stat().st_size for name in files(root))
    assert sum(asked) == sizes - begun
    for name in files(root):
        assert (root / name).read_bytes() == (release / name).read_bytes()
    capsys.readouterr()
    fetch(settings, server)
    assert "0 files fetched, 10 were there" in capsys.readouterr().out


def test_a_file_of_the_wrong_size_is_fetched_again(release, settings, server, tmp_path):
    fetch(settings, server)
    path = tmp_path / "mine" / raw_files.NSD_BETAS / "betas_session01.hdf5"
    path.write_bytes(path.read_bytes()[:100])
    fetch(settings, server)
    assert path.read_bytes() == (release / raw_files.NSD_BETAS / path.name).read_bytes()


def test_nothing_happens_before_the_terms_are_accepted(release, settings, server, tmp_path):
    for value in ({}, {"accept_nsd_terms": False}, {"accept_nsd_terms": "yes"}):
        refused = {k: v for k, v in settings.items() if k != "accept_nsd_terms"} | value
        with pytest.raises(InputError, match="accept_nsd_terms: expected true, once you have"):
            fetch(refused, server)
    assert not (tmp_path / "mine").exists()


def test_an_object_that_the_bucket_does_not_have(release, settings, server, tmp_path):
    settings["n_sessions"] = 3
    with pytest.raises(InputError, match=r"an object .*betas_session03\.hdf5, found none"):
        fetch(settings, server)


def test_no_room_on_the_disk(release, settings, server, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(download.shutil, "disk_usage", lambda place: usage)
    with pytest.raises(InputError, match="expected room for"):
        fetch(settings, server)


@pytest.mark.parametrize("trouble", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_fails_in_the_middle_is_said_in_one_line(
    release, settings, server, tmp_path, monkeypatch, trouble
):
    """What was written before is kept and gone on with; no file has its name before it is whole."""
    monkeypatch.setattr(download, "PIECE", 512)
    whole_append = download._append

    def append(client, bucket, file, part, done, stop):
        class Filling:
            @staticmethod
            def put(n_bytes):
                raise OSError(trouble, os.strerror(trouble), str(part))

        return whole_append(client, bucket, file, part, Filling, stop)

    monkeypatch.setattr(download, "_append", append)
    with pytest.raises(InputError, match=f"a disk to write to, found {os.strerror(trouble)}") as e:
        fetch(settings, server)
    assert "\n" not in str(e.value)
    root = tmp_path / "mine"
    assert files(root)
    assert all(name.endswith(".part") for name in files(root))
    monkeypatch.setattr(download, "_append", whole_append)
    fetch(settings, server)
    for name in files(root):
        assert (root / name).read_bytes() == (release / name).read_bytes()


def test_simulated_and_other_datasets_are_passed_over(tmp_path):
    datasets = {
        "demo": raw_files.nsd_settings(tmp_path) | {"simulate": {}},
        "things": raw_files.things_settings(tmp_path),
    }
    download_nsd.main(datasets, BUCKET, "http://127.0.0.1:1")
    assert list(tmp_path.iterdir()) == []


def test_the_reports_study_needs_these_objects(tmp_path):
    """Subject 1, sessions 1 to 37, V1 to V4 and the ventral stream."""
    settings = raw_files.nsd_settings(tmp_path) | {"sessions": [1, 37]}
    del settings["n_sessions"]
    keys = [key for key, *_ in needed_objects(settings)]
    assert len(keys) == len(set(keys)) == 3 + 1 + 4 + 37
    assert sum("betas_session" in key for key in keys) == 37
    left = needed_objects(settings | {"hemisphere": "left"})
    assert ("nsddata/ppdata/subj01/func1pt8mm/roi/lh.streams.nii.gz",) in left


def test_sessions_that_are_there_as_nifti_are_not_fetched_again(
    release, settings, server, tmp_path, capsys
):
    """The bucket has both; a NIfTI of another size than the bucket's is none."""
    import boto3

    owner = boto3.client(
        "s3", endpoint_url=server, region_name="us-east-2", aws_access_key_id="a",
        aws_secret_access_key="b",
    )  # fmt: skip
    for session in (1, 2):
        key = f"{raw_files.NSD_BETAS}/betas_session{session:02d}.nii.gz"
        raw_files.write_volume(release / key, raw_files.nsd_betas()[session - 1])
        content = (release / key).read_bytes()
        owner.put_object(Bucket=BUCKET, Key=key, Body=content, ACL="public-read")
        (tmp_path / "mine" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / key).write_bytes(content if session == 1 else content[:50])
    fetch(settings, server)
    betas = {path.name for path in (tmp_path / "mine" / raw_files.NSD_BETAS).iterdir()}
    assert betas == {
        "betas_session01.nii.gz", "betas_session02.nii.gz", "betas_session02.hdf5"
    }  # fmt: skip


def test_nothing_to_fetch_is_said(tmp_path, capsys):
    download_nsd.main({"things": raw_files.things_settings(tmp_path)}, BUCKET, None)
    assert "no dataset here needs it" in capsys.readouterr().out
