"""Series whose slices lie in several folders."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from oneslice.errors import OneSliceWarning
from oneslice.formats import find_scans, read_volume
from oneslice.geometry import Geometry
from tests.formats.dicom_series import enhanced, series_datasets, write_series
from tests.formats.grids import ramp

GRID = Geometry.from_parts((4, 3, 6), (1.0, 1.0, 2.5))
ARRAY = ramp(GRID.shape)


def spread(folder, folders=3, **options):
    """A series with its slices dealt out to folders."""
    files = write_series(folder, ARRAY, GRID, **options)
    for number, file in enumerate(files):
        part = folder / f"{number % folders}"
        part.mkdir(exist_ok=True)
        file.rename(part / file.name)
    return folder


@pytest.mark.parametrize("folders", [2, 6], ids=["some slices each", "one slice each"])
def test_slices_in_several_folders_are_one_scan(tmp_path, folders, monkeypatch):
    spread(tmp_path / "study/p1", folders)
    spread(tmp_path / "study/p2/deep/er", folders)
    write_series(tmp_path / "study/p3", ARRAY, GRID)
    monkeypatch.chdir(tmp_path)
    found = find_scans(["study"])
    assert [str(scan) for scan in found] == ["study/p1", "study/p2/deep/er", "study/p3"]
    assert find_scans(["study/p1/*"]) == [Path("study/p1")]
    assert find_scans(["study/p1/*/*.dcm"]) == [Path("study/p1")]
    assert find_scans(["study/p1/0", tmp_path / "study/p1/[!0]"]) == [tmp_path / "study/p1"]
    for scan in found[:2]:
        volume = read_volume(scan)
        assert np.array_equal(volume.array, ARRAY)
        assert volume.geometry.difference(GRID) is None


def test_copies_and_echoes_of_a_series_stay_apart(tmp_path):
    """They have one UID, but lie at the same places."""
    for name in ("in phase", "opposed"):
        write_series(tmp_path / name, ARRAY, GRID, series="1.2.3")
    assert find_scans([tmp_path]) == [tmp_path / "in phase", tmp_path / "opposed"]


def test_multi_frame_objects_of_one_series_stay_apart(tmp_path):
    for number in range(2):
        whole = enhanced(series_datasets(ARRAY, GRID))
        first = series_datasets(ARRAY, GRID)[number]  # an old way to say where it lies
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
            setattr(whole, keyword, getattr(first, keyword))
        whole.SeriesInstanceUID = "1.2.3"
        (tmp_path / f"{number}").mkdir()
        whole.save_as(tmp_path / f"{number}/a.dcm")
    assert find_scans([tmp_path]) == [tmp_path / "0", tmp_path / "1"]


def test_stations_with_a_gap_between_stay_apart(tmp_path):
    stations = tmp_path / "upper", tmp_path / "lower"
    for station, height in zip(stations, (0, 500), strict=True):
        grid = Geometry.from_parts(GRID.shape, GRID.spacing, (0, 0, height))
        write_series(station, ARRAY, grid, series="1.2.3")
    assert find_scans([tmp_path]) == sorted(stations)


@pytest.mark.parametrize("other", ["series", "damaged"])
def test_parts_beside_another_scan_are_told(tmp_path, other):
    spread(tmp_path, 2)
    if other == "series":
        write_series(tmp_path / "other", ARRAY, GRID)
    else:
        (tmp_path / "other").mkdir()
        (tmp_path / "other/a.dcm").write_bytes(b"")
    with pytest.warns(OneSliceWarning, match="put them into a folder of their own"):
        found = find_scans([tmp_path])
    assert found == [tmp_path / "0", tmp_path / "1", tmp_path / "other"]
    (tmp_path / "own").mkdir()
    for part in ("0", "1"):
        shutil.move(tmp_path / part, tmp_path / "own" / part)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find_scans([tmp_path]) == [tmp_path / "other", tmp_path / "own"]
