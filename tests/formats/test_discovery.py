"""What file names, folders and patterns stand for."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oneslice.errors import InputError
from oneslice.formats import find_scans, read_volume
from oneslice.geometry import Geometry
from tests.formats.dicom_series import slice_dataset, write_series
from tests.formats.grids import ramp

GRID = Geometry.from_parts((4, 3, 3))


@pytest.fixture
def study(tmp_path):
    """A study with something of everything."""
    for name in (
        "p2/scan.nii.gz",
        "p10/scan.nii.gz",
        "p10/other.mha",
        "p10/notes.txt",
        "p10/x.png",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    write_series(tmp_path / "p3" / "ct", ramp(GRID.shape), GRID)
    (tmp_path / "p4").mkdir()
    for k in range(3):
        Image.new("L", (4, 4), k).save(tmp_path / "p4" / f"{k}.png")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "hidden.nii").write_bytes(b"x")
    (tmp_path / "p5").mkdir()
    (tmp_path / "p5" / "readme.md").write_text("empty")
    return tmp_path


EVERYTHING = ["p2/scan.nii.gz", "p3/ct", "p4", "p10/other.mha", "p10/scan.nii.gz"]


def _found(study, *patterns):
    return [str(p.relative_to(study)) for p in find_scans([str(study / p) for p in patterns])]


def test_folder_of_patients(study):
    assert _found(study, ".") == EVERYTHING


def test_globs(study):
    assert _found(study, "*/scan.nii.gz") == ["p2/scan.nii.gz", "p10/scan.nii.gz"]
    assert _found(study, "**/*.mha") == ["p10/other.mha"]
    assert _found(study, "p[34]") == ["p3/ct", "p4"]
    assert _found(study, "p3/**/*.dcm") == ["p3/ct"]
    assert _found(study, "p2*", "p*/scan*") == ["p2/scan.nii.gz", "p10/scan.nii.gz"]


def test_files_and_duplicates(study):
    files = sorted((study / "p3" / "ct").iterdir())
    assert find_scans(files) == [study / "p3" / "ct"]
    assert find_scans(files[:1]) == files[:1]
    assert find_scans([study / "p4", *(study / "p4").iterdir()]) == [study / "p4"]
    assert find_scans([study / "p4" / "2.png"]) == [study / "p4" / "2.png"]
    assert _found(study, "p2/scan.nii.gz", "p2", "p*") == EVERYTHING


def test_one_file_by_several_names(study, monkeypatch):
    monkeypatch.chdir(study / "p2")
    (study / "link.nii.gz").symlink_to(study / "p2/scan.nii.gz")
    names = ["scan.nii.gz", study / "p2/scan.nii.gz", "../p2/scan.nii.gz", study / "link.nii.gz"]
    assert [str(path) for path in find_scans(names)] == ["scan.nii.gz"]
    pictures = ["../p4", *(study / "p4").iterdir()]
    assert [str(path) for path in find_scans(pictures)] == ["../p4"]


def test_dicom_files_of_several_series_are_one_scan_each(study, monkeypatch):
    folder = study / "p6"
    a, b = (write_series(folder, ramp(GRID.shape) + n, GRID, series=f"1.2.{n}") for n in (0, 1))
    assert find_scans([a[1], b[0], a[0]]) == sorted([a[0], b[0]])
    assert find_scans([a[1], a[0]]) == [a[0]]
    assert find_scans([folder / "*.dcm"]) == sorted([a[0], b[0]])
    assert np.array_equal(read_volume(find_scans([b[0], a[0]])[1]).array, ramp(GRID.shape) + 1)
    monkeypatch.chdir(folder)
    assert find_scans([a[0].name, a[1]]) == [Path(a[0].name)]


def test_a_damaged_file_is_left_to_the_reading_of_its_folder(study):
    slices = sorted((study / "p3/ct").iterdir())
    slices[0].write_bytes(slices[0].read_bytes()[:200])
    assert find_scans(slices[:2]) == [study / "p3/ct"]


def test_volumes_beside_a_series(study):
    (study / "p3" / "ct" / "converted.nii.gz").write_bytes(b"x")
    assert _found(study, "p3") == ["p3/ct", "p3/ct/converted.nii.gz"]
    assert _found(study, "p3/ct/*") == ["p3/ct", "p3/ct/converted.nii.gz"]


def test_linked_folders_are_searched_once(study, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "far.nii").write_bytes(b"x")
    (elsewhere / "back").symlink_to(study)
    (study / "p11").symlink_to(elsewhere)
    (study / "p12").symlink_to(elsewhere)
    (study / "latest").symlink_to(study / "p3")
    assert _found(study, ".") == [*EVERYTHING, "p11/far.nii"]


def test_names_with_brackets(tmp_path):
    (tmp_path / "a[1].nii").write_bytes(b"x")
    assert find_scans([tmp_path / "a[1].nii"]) == [tmp_path / "a[1].nii"]


def test_our_own_labels_are_no_scans(study):
    (study / "p2" / "scan_labels.nii.gz").write_bytes(b"x")
    (study / "p2" / "scan_labels.json").write_text(json.dumps({"structures": []}))
    (study / "p2" / "scan.json").write_text(json.dumps({"RepetitionTime": 2}))
    assert _found(study, ".") == EVERYTHING
    assert _found(study, "p2/*") == ["p2/scan.nii.gz"]
    with pytest.raises(InputError, match=r"label map of oneslice's \(scan_labels\.json says so\)"):
        _found(study, "p2/scan_labels.nii.gz")


def test_dicom_that_is_no_scan(tmp_path):
    report = slice_dataset(ramp((4, 3)), [0, 0, 0], GRID)
    report.Modality, report.SeriesInstanceUID = "SEG", "1.2"
    report.save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    with pytest.raises(InputError, match="no scan found"):
        find_scans([tmp_path])


@pytest.mark.parametrize("pattern", ["p5", "*/*.mgz", "absent", "absent.nii"])
def test_nothing_found(study, pattern):
    with pytest.raises(InputError, match=r"no scan found|no such file"):
        _found(study, "p2", pattern)


@pytest.mark.parametrize("pattern", ["", " "])
def test_an_empty_name_is_not_this_folder(study, monkeypatch, pattern):
    monkeypatch.chdir(study)
    with pytest.raises(InputError, match="name is empty"):
        find_scans([pattern])
    assert [str(path) for path in find_scans(["."])] == EVERYTHING


def test_import_is_light():
    script = (
        "import sys, oneslice.formats\n"
        "heavy = {'torch', 'SimpleITK', 'pydicom', 'highdicom', 'nibabel', 'PIL', 'scipy'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_volumes_are_not_opened(tmp_path):
    np.arange(3).tofile(tmp_path / "broken.nii.gz")
    assert find_scans([tmp_path]) == [tmp_path / "broken.nii.gz"]


def test_a_link_to_nothing_is_a_scan_that_is_missing(tmp_path):
    """As of data that were not fetched: reading it fails, and tells so."""
    (tmp_path / "gone.nii.gz").symlink_to(tmp_path / "nowhere.nii.gz")
    assert find_scans([tmp_path]) == [tmp_path / "gone.nii.gz"]
