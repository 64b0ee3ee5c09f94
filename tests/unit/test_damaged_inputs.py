"""Raw files that are whole, harmlessly different, or cannot be written from."""

import errno
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from afterimage.datasets import open_dataset
from afterimage.errors import InputError
from afterimage.jobs import job_log
from afterimage.stores import write_arrays, write_json, write_table
from tests import raw_files
from tests.damaged_pictures import large_picture, write_pictures
from tests.damages import (
    BEHAVIOUR,
    FAMILIES,
    HCP,
    HCP_TABLE,
    RESPONSES,
    SESSION,
    STIMULI,
    TRIALS,
    as_nifti,
    check,
    in_two_pieces,
    remove,
    rewrite_betas,
    rewrite_labels,
    rewrite_responses,
)


@pytest.mark.parametrize("family", FAMILIES)
def test_whole_files_pass(family, tmp_path):
    FAMILIES[family][0](tmp_path / "raw")
    check(family, tmp_path / "raw", tmp_path / "out.txt")
    assert "all well" in (tmp_path / "out.txt").read_text()


# What is not as expected and does no harm: (family, file, damage).
HARMLESS = {
    "label table with CRLF and tabs": (
        "nsd", HCP_TABLE, lambda p: p.write_text(p.read_text().replace("\n", "\t\r\n"))),
    "no behaviour": ("nsd", BEHAVIOUR, remove),
    "behaviour saved again by pandas": (
        "nsd", BEHAVIOUR, lambda p: pd.read_csv(p, sep="\t").assign(More=1).to_csv(p, sep="\t")),
    "behaviour with CRLF": (
        "nsd", BEHAVIOUR, lambda p: p.write_text(p.read_text().replace("\n", "\r\n"))),
    "region volume as small integers": ("nsd", HCP, rewrite_labels(lambda a: a.astype(np.int16))),
    "region volume with a fourth axis": ("nsd", HCP, rewrite_labels(lambda a: a[..., None])),
    "packed betas": ("nsd", SESSION, rewrite_betas(lambda a: a, compression="gzip")),
    "contiguous betas": ("nsd", SESSION, rewrite_betas(lambda a: a, chunks=None)),
    "betas as NIfTI": ("nsd", SESSION, as_nifti(lambda packed: packed)),
    "betas as NIfTI packed in pieces": ("nsd", SESSION, as_nifti(in_two_pieces)),
    "big-endian betas": ("nsd", SESSION, rewrite_betas(lambda a: a.astype(">i2"))),
    "pictures of other subjects that were never written": (
        "nsd", STIMULI, write_pictures(1, 4, 7, 10, 20, 29, chunks=(1, 8, 8, 3))),
    "a picture with padding after its end": (
        "things", "object_images/dog/dog_12s.jpg", large_picture(lambda c: c + bytes(9000))),
    "concepts with LF": (
        "things", "things_concepts.tsv",
        lambda p: p.write_bytes(p.read_bytes().replace(b"\r", b""))),
    "tables with CRLF": (
        "things", TRIALS, lambda p: p.write_bytes(p.read_bytes().replace(b"\n", b"\r\n"))),
    "responses in single precision": (
        "things", RESPONSES, rewrite_responses(lambda a: a.astype(np.float32))),
    "own tables with CRLF and a byte order mark": (
        "custom", "anna/trials.csv",
        lambda p: p.write_bytes(b"\xef\xbb\xbf" + p.read_bytes().replace(b"\n", b"\r\n"))),
}  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_differences_change_no_number(name, tmp_path):
    family, file, damage = HARMLESS[name]
    write_files, settings = FAMILIES[family]
    everything = []
    for change in (lambda path: None, damage):
        root = tmp_path / str(len(everything))
        write_files(root)
        change(root / file)
        check(family, root, tmp_path / "out.txt")
        data = open_dataset(settings(root))
        subject = settings(root)["subjects"][0]
        trials, voxels = data.trials(subject), data.voxels(subject, "lower")
        part = trials["part"].iloc[-1]
        rows = trials["row"][trials["part"] == part].to_numpy()
        betas = data.betas(subject, part, rows, voxels.index)
        everything.append((trials, voxels, betas))
    (trials, voxels, betas), (others, other_voxels, other_betas) = everything
    pd.testing.assert_frame_equal(trials, others)
    assert voxels.index.tolist() == other_voxels.index.tolist()
    assert voxels.roi.tolist() == other_voxels.roi.tolist()
    np.testing.assert_allclose(betas, other_betas, rtol=1e-6)


def test_voxels_that_are_not_finite_reach_the_normalisation_as_they_are(tmp_path):
    raw_files.write_things(tmp_path)
    values = raw_files.things_responses()
    values[1, 3] = np.nan
    raw_files.write_responses(tmp_path / RESPONSES, values)
    data = open_dataset(raw_files.things_settings(tmp_path))
    found = data.betas("sub-01", "all", np.arange(5), data.voxels("sub-01", "lower").index)
    assert np.isnan(found).sum() == 1
    assert np.isnan(found[3, 1])


def _write_arrays(path: Path) -> None:
    write_arrays(path / "out.zarr", {"x": np.ones((4, 3)), "image_id": np.array(list("abcd"))})


def _write_table(path: Path) -> None:
    write_table(path / "out.parquet", pd.DataFrame({"image_id": ["a"], "value": [1.0]}))


def _write_csv(path: Path) -> None:
    write_table(path / "out.csv", pd.DataFrame({"image_id": ["a"], "value": [1.0]}))


def _write_json(path: Path) -> None:
    write_json(path / "out.json", [1, 2])


@pytest.mark.parametrize("trouble", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("writes", [_write_arrays, _write_table, _write_csv, _write_json])
def test_results_that_cannot_be_written_leave_one_line_and_no_file(
    writes, trouble, tmp_path, monkeypatch, capsys
):
    """Disk full and read-only results, as the operating system says them, in the middle of it."""

    def half(self, path=None, *arguments, **options) -> None:
        target = self if isinstance(self, Path) else path
        with open(target, "wb") as stream:
            stream.write(b"half")
        raise OSError(trouble, os.strerror(trouble), str(target))

    for owner, method in (
        (Path, "open"), (Path, "write_text"), (pd.DataFrame, "to_parquet"),
        (pd.DataFrame, "to_csv"),
    ):  # fmt: skip
        monkeypatch.setattr(owner, method, half)
    with pytest.raises(SystemExit), job_log(tmp_path / "log.txt"):
        writes(tmp_path / "results")
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"ERROR {tmp_path}/results/out.")
    assert f"a disk to write to, found {os.strerror(trouble)}" in said[0]
    assert list((tmp_path / "results").iterdir()) == []


def test_a_read_only_folder_of_results_is_said_in_one_line(tmp_path, monkeypatch):
    def refuse(self: Path, *arguments, **options) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    for writes in (_write_arrays, _write_table):
        with pytest.raises(InputError, match=r"Read-only file system\. Make room"):
            writes(tmp_path / "results")
    assert not (tmp_path / "results").exists()
