"""The look at sessions stops where an area has too many voxels without data, and only there."""

import numpy as np
import pytest

from afterimage.datasets import nsd_values, open_dataset
from tests import raw_files

LOWER_VOXEL, HIGHER_VOXEL = (0, 1, 0), (2, 1, 2)  # one of five, one of two


@pytest.fixture
def look(tmp_path):
    """Look at the sessions, one of which has no data in some voxels (x, y, z)."""
    raw_files.write_nsd(tmp_path)

    def at(empty: list[tuple[int, int, int]], most: float):
        volume = raw_files.nsd_betas()[1]
        for voxel in empty:
            volume[voxel] = 0
        raw_files.write_betas(tmp_path / raw_files.NSD_BETAS / "betas_session02.hdf5", volume)
        data = open_dataset(raw_files.nsd_settings(tmp_path))
        return nsd_values.look_at_sessions(data, "subj01", most)

    return at


def test_a_sample_that_exaggerates_stops_nothing(look, monkeypatch):
    """One of two voxels looked at is empty, of its area one in five."""
    monkeypatch.setattr(nsd_values, "SAMPLED_VOXELS", 2)
    assert look([LOWER_VOXEL], 0.25).status == "ok"
    refused = look([LOWER_VOXEL], 0.15)
    assert "at most 15.0% of voxels without data, found 1 of 5 voxels of lower" in refused.found


@pytest.mark.parametrize("sampled", [2, 3, 5])
def test_whether_it_stops_does_not_depend_on_the_draw(look, monkeypatch, sampled):
    monkeypatch.setattr(nsd_values, "SAMPLED_VOXELS", sampled)
    assert look([LOWER_VOXEL], 0.2).status == "ok"


def test_each_area_is_judged_by_itself(look):
    """Two of seven voxels of both areas, but one of the two of the higher."""
    assert look([LOWER_VOXEL, HIGHER_VOXEL], 0.5).status == "ok"
    refused = look([LOWER_VOXEL, HIGHER_VOXEL], 0.4)
    assert "found 1 of 2 voxels of higher the same in every trial" in refused.found


def test_only_sessions_that_seem_empty_are_read_whole(look, monkeypatch):
    read = []
    whole = nsd_values.stored_betas

    def counted(path, *arguments):
        read.append(path.name)
        return whole(path, *arguments)

    monkeypatch.setattr(nsd_values, "stored_betas", counted)
    assert look([], 0.1).status == "ok"
    assert read == []
    assert look([LOWER_VOXEL], 0.1).status == "bad"
    assert set(read) == {"betas_session02.hdf5"}


def test_voxels_never_change_only_if_no_trial_differs():
    raw = np.array([[1, 1, 1], [1, 1, 2], [0, 0, 0]], dtype=np.int16)
    assert nsd_values.never_changes(raw).tolist() == [True, False, True]
