"""DICOM series: what makes a volume, and what is refused."""

import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.fileset import FileSet
from pydicom.uid import RTStructureSetStorage

from oneslice.choices import Modality
from oneslice.errors import InputError
from oneslice.formats import find_scans, read_volume
from oneslice.geometry import Geometry
from tests.formats.dicom_series import slice_dataset, write_series
from tests.formats.grids import geometries, ramp, same_grid

GRID = Geometry.from_parts((5, 4, 6), (0.7, 0.8, 2.5), (-10, 20, -30))
ARRAY = ramp(GRID.shape)


def test_ct_in_rescaled_units(tmp_path):
    write_series(tmp_path / "patient.v1", ARRAY, GRID, intercept=-1024)
    volume = read_volume(tmp_path / "patient.v1")
    assert np.array_equal(volume.array, ARRAY - 1024)
    assert same_grid(volume.geometry, GRID)
    assert volume.modality is Modality.CT
    assert volume.name == "patient.v1"


def test_every_slice_has_its_own_slope(tmp_path):
    slopes = [0.5, 1.25, 2, 3, 0.1, 7]
    write_series(tmp_path, ARRAY, GRID, slopes=slopes, modality="MR")
    assert np.allclose(read_volume(tmp_path).array, ARRAY * slopes, atol=1e-3)


def test_slices_that_count_one_frame(tmp_path):
    for path in write_series(tmp_path, ARRAY, GRID):
        dataset = pydicom.dcmread(path)
        dataset.NumberOfFrames = 1
        dataset.save_as(path)
    assert np.array_equal(read_volume(tmp_path).array, ARRAY)


def test_left_handed_storage_is_sorted_along_the_normal(tmp_path):
    flipped = Geometry(GRID.shape, GRID.affine @ np.diag([1, 1, -1, 1]))
    write_series(tmp_path, ARRAY, flipped)
    volume = read_volume(tmp_path)
    where = np.argwhere(volume.array == ARRAY[1, 2, 4])[0]
    assert np.allclose(volume.geometry.to_world(where), flipped.to_world([1, 2, 4]))


def test_zip_nested_folder_and_one_file_of_a_series(tmp_path):
    paths = write_series(tmp_path / "study" / "series", ARRAY, GRID)
    with zipfile.ZipFile(tmp_path / "case.zip", "w") as archive:
        for path in paths:
            archive.write(path, f"case/{path.name}")
    for source in (tmp_path / "case.zip", tmp_path / "study", paths[3]):
        volume = read_volume(source)
        assert np.array_equal(volume.array, ARRAY)
        assert same_grid(volume.geometry, GRID)
    assert read_volume(tmp_path / "case.zip").name == "case"


def test_what_is_wrong_in_a_zip_is_told_of_the_zip(tmp_path):
    paths = write_series(tmp_path / "series", ARRAY, GRID)
    with zipfile.ZipFile(tmp_path / "case.zip", "w") as archive:
        for path in paths:
            archive.writestr(path.name, path.read_bytes()[:-20])
    with pytest.raises(InputError, match=rf"^{tmp_path / 'case.zip'}/\S+\.dcm: pixels"):
        read_volume(tmp_path / "case.zip")


def test_hidden_folders_are_passed_over(tmp_path):
    write_series(tmp_path / "series", ARRAY, GRID)
    write_series(tmp_path / ".trash", ARRAY + 1, GRID)
    assert np.array_equal(read_volume(tmp_path).array, ARRAY)


def test_several_series_are_listed_and_chosen(tmp_path):
    write_series(tmp_path, ARRAY, GRID, series="1.2.3", description="arterial")
    other = write_series(tmp_path, ARRAY + 1, GRID, series="1.2.4", description="venous")
    with pytest.raises(InputError) as error:
        read_volume(tmp_path)
    for text in ("--series", "1.2.3 (arterial, CT, 6 slices)", "1.2.4 (venous, CT, 6 slices)"):
        assert text in str(error.value)
    assert np.array_equal(read_volume(tmp_path, series="1.2.4").array, ARRAY + 1)
    assert np.array_equal(read_volume(other[0]).array, ARRAY + 1)
    with pytest.raises(InputError, match=r"no series 9, only: 1\.2\.3"):
        read_volume(tmp_path, series="9")


def test_series_are_chosen_by_their_description(tmp_path):
    for number, name in enumerate(("T2 [SPIR]", "T2 SPIR late", "Localizer", "localizer")):
        write_series(tmp_path, ARRAY + number, GRID, series=f"1.{number}", description=name)
    for number, pattern in enumerate(("t2 [spir]", "*late", "1.2", "1.3")):
        assert np.array_equal(read_volume(tmp_path, series=pattern).array, ARRAY + number)
    with pytest.raises(InputError, match=r"holds 2 series that are T2\*, .*: 1\.0 .*; 1\.1 .* sl"):
        read_volume(tmp_path, series="T2*")
    with pytest.raises(InputError, match="that are localizer"):
        read_volume(tmp_path, series="localizer")


def test_other_objects_are_passed_over(tmp_path):
    write_series(tmp_path, ARRAY, GRID)
    report = slice_dataset(ARRAY[..., 0], [0, 0, 0], GRID)
    del report.Rows, report.PixelData
    report.Modality, report.SeriesInstanceUID = "KO", "1.9"
    report.StudyInstanceUID, report.PatientID, report.SeriesNumber = "1.8", "1", 1
    report.StudyDate, report.StudyTime, report.StudyID = "20200101", "120000", "1"
    report.InstanceNumber, report.AccessionNumber, report.PatientName = 1, "", ""
    report.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    disc = FileSet()
    disc.add(report)
    disc.write(tmp_path / "discs")
    (tmp_path / "discs" / "DICOMDIR").rename(tmp_path / "DICOMDIR")
    (tmp_path / "notes.txt").write_text("hello")
    assert np.array_equal(read_volume(tmp_path).array, ARRAY)


def test_a_damaged_file_is_not_passed_over(tmp_path):
    paths = write_series(tmp_path, ARRAY, GRID)
    paths[5].write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 40)
    with pytest.raises(InputError, match=rf"{paths[5].name}: is cut short or damaged"):
        read_volume(tmp_path)
    assert find_scans([tmp_path]) == [tmp_path]


@pytest.mark.parametrize("end", [0, 1])
def test_an_end_of_the_scan_that_is_cut_short_is_never_passed_over(tmp_path, end):
    """Wherever it is cut: before its mark, within its header, or within its pixels."""
    paths = write_series(tmp_path, ARRAY, GRID)
    last = sorted(paths, key=lambda p: pydicom.dcmread(p).ImagePositionPatient[2])[-end]
    whole = last.read_bytes()
    for length in range(0, len(whole), 40):
        last.write_bytes(whole[:length])
        with pytest.raises(InputError, match=last.name):
            read_volume(tmp_path)
    last.write_bytes(bytes(len(whole)))
    with pytest.raises(InputError, match=last.name):
        read_volume(tmp_path)


def test_a_medium_with_its_table_of_contents_above_the_scan(tmp_path):
    paths = write_series(tmp_path / "series", ARRAY, GRID)
    medium = FileSet()
    for path in paths:
        medium.add(path)
    medium.write(tmp_path / "cd")
    with zipfile.ZipFile(tmp_path / "cd.zip", "w") as archive:
        for path in (tmp_path / "cd").rglob("*"):
            archive.write(path, path.relative_to(tmp_path))
    for source in (tmp_path / "cd", tmp_path / "cd.zip"):
        assert np.array_equal(read_volume(source).array, ARRAY)
    with pytest.raises(InputError, match="table of contents of DICOM files; give their folder"):
        read_volume(tmp_path / "cd" / "DICOMDIR")


@pytest.mark.parametrize("modality", ["RTDOSE", "PR", "SR"])
def test_pixels_that_were_made_from_a_scan_are_no_scan(tmp_path, modality):
    for path in write_series(tmp_path / "derived", ARRAY, GRID, series="1.9"):
        dataset = pydicom.dcmread(path)
        dataset.Modality = modality
        dataset.save_as(tmp_path / path.name)
    write_series(tmp_path, ARRAY, GRID, series="1.5")
    assert np.array_equal(read_volume(tmp_path).array, ARRAY)


def test_an_object_that_is_no_image_is_named(tmp_path):
    contours = slice_dataset(ARRAY[..., 0], [0, 0, 0], GRID)
    del contours.Rows, contours.PixelData
    contours.Modality = "RTSTRUCT"
    contours.SOPClassUID = contours.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    contours.save_as(tmp_path / "contours.dcm", enforce_file_format=True)
    with pytest.raises(InputError, match=r"no DICOM image but RT Structure Set Storage; .*NIfTI"):
        read_volume(tmp_path / "contours.dcm")


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ImageOrientationPatient", [1, 0, 0, 0.05, 0.99875, 0]),
        ("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]),
        ("ImageOrientationPatient", [0, 0, 0, 0, 0, 0]),
        ("PixelSpacing", [0, 1]),
    ],
)
def test_axes_of_no_grid_are_refused(tmp_path, keyword, value):
    for path in write_series(tmp_path, ARRAY, GRID):
        dataset = pydicom.dcmread(path)
        setattr(dataset, keyword, value)
        dataset.save_as(path)
    with pytest.raises(InputError, match=r"\.dcm does not say where its slice lies .*right angles"):
        read_volume(tmp_path)


def _positions(offsets):
    return [GRID.to_world([0, 0, 0]) + np.asarray(offset, float) for offset in offsets]


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ([(0, 0, z) for z in (0, 2, 4, 8, 10, 12)], r"missing between -26\.00 and -22\.00 mm"),
        ([(0, 0, z) for z in (0, 2, 4, 5, 7, 9)], r"unevenly spaced, 1\.00 to 2\.00 mm"),
        ([(0, 0, z) for z in (0, 2, 4, 4, 6, 8)], r"1 slices lie where another .* -26\.00 mm"),
        ([(0, 0, z) for z in (0, 2, 4, 0, 2, 4)], r"3 slices lie where another .* phases"),
        ([(0, z * 0.2, z) for z in range(0, 12, 2)], r"gantry tilt of 11\.3 degrees.*dcm2niix"),
    ],
)
def test_irregular_stacks_are_refused(tmp_path, offsets, message):
    write_series(tmp_path, ARRAY, GRID, positions=_positions(offsets))
    with pytest.raises(InputError, match=message):
        read_volume(tmp_path)


@settings(max_examples=15, deadline=None)
@given(geometry=geometries(right_handed=True, least=4), missing=st.integers(1, 2))
def test_a_missing_slice_never_goes_unseen(geometry, missing):
    with tempfile.TemporaryDirectory() as name:
        paths = write_series(Path(name), ramp(geometry.shape), geometry)
        by_position = {pydicom.dcmread(p).PixelData: p for p in paths}
        inner = ramp(geometry.shape)[:, :, missing].T.astype("<i2").tobytes()
        by_position[inner].unlink()
        with pytest.raises(InputError, match=r"missing between|unevenly spaced"):
            read_volume(name)


def test_rounded_positions_are_accepted(tmp_path):
    jitter = np.random.default_rng(0).uniform(-0.02, 0.02, (6, 3))
    positions = [GRID.to_world([0, 0, k]) + jitter[k] for k in range(6)]
    write_series(tmp_path, ARRAY, GRID, positions=positions)
    assert same_grid(read_volume(tmp_path).geometry, GRID, tolerance=0.1)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            Geometry.from_parts((5, 4, 2), direction=np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])),
            "2 of 8 slices lie at another angle than the others",
        ),
        (Geometry.from_parts((3, 4, 2), GRID.spacing), r"different sizes \(3 x 4, 5 x 4\)"),
    ],
)
def test_mixed_slices_are_refused_and_the_odd_ones_named(tmp_path, other, message):
    odd = write_series(tmp_path / "odd", ramp(other.shape), other, series="1.5")
    for number, path in enumerate(odd):
        path.rename(tmp_path / f"odd{number}.dcm")
    write_series(tmp_path, ARRAY, GRID, series="1.5")
    with pytest.raises(InputError, match=rf"{message}.* without odd[01]\.dcm, odd[01]\.dcm$"):
        read_volume(tmp_path)


def test_slices_of_another_pixel_spacing_are_refused(tmp_path):
    path = write_series(tmp_path, ARRAY, GRID)[2]
    dataset = pydicom.dcmread(path)
    dataset.PixelSpacing = [1.6, 1.4]
    dataset.save_as(path)
    with pytest.raises(InputError, match="different pixel spacing"):
        read_volume(tmp_path)


def test_slices_at_one_place_are_named(tmp_path):
    path = write_series(tmp_path, ARRAY, GRID)[3]
    copy = path.with_name("copy.dcm")
    copy.write_bytes(path.read_bytes())
    with pytest.raises(InputError, match=r"1 slices lie where another") as error:
        read_volume(tmp_path)
    assert copy.name in str(error.value)
    assert path.name in str(error.value)


def test_a_slice_without_position(tmp_path):
    dataset = slice_dataset(ARRAY[..., 0], [0, 0, 0], GRID)
    dataset.SeriesInstanceUID = "1.2"
    del dataset.ImagePositionPatient
    dataset.save_as(tmp_path / "photo.dcm", enforce_file_format=True)
    with pytest.raises(InputError, match=r"photo\.dcm does not say where its slice lies"):
        read_volume(tmp_path)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"SliceThickness": 5, "SpacingBetweenSlices": 3}, 3),
        ({"SliceThickness": 5}, 5),
        ({}, 1),
    ],
)
def test_how_thick_a_lone_slice_is(tmp_path, stated, expected):
    path = write_series(tmp_path, ARRAY[..., :1], GRID.part((slice(None), slice(None), slice(1))))
    dataset = pydicom.dcmread(path[0])
    del dataset.SliceThickness
    for keyword, value in stated.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path[0])
    assert read_volume(tmp_path).geometry.spacing[2] == expected


@pytest.mark.parametrize(
    ("modality", "keyword", "value", "message"),
    [
        ("CT", "PhotometricInterpretation", "MONOCHROME1", r"stored inverted \(MONOCHROME1\)"),
        ("MR", "ImageType", ["ORIGINAL", "PRIMARY", "M", "MOSAIC"], "is a mosaic.*dcm2niix"),
    ],
)
def test_pixels_of_another_meaning_are_refused(tmp_path, modality, keyword, value, message):
    for path in write_series(tmp_path, ARRAY, GRID, modality=modality):
        dataset = pydicom.dcmread(path)
        setattr(dataset, keyword, value)
        dataset.save_as(path)
    with pytest.raises(InputError, match=message):
        read_volume(tmp_path)


def test_colour_is_refused(tmp_path):
    dataset = slice_dataset(ARRAY[..., 0], [0, 0, 0], GRID)
    dataset.SeriesInstanceUID = "1.2"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(InputError, match="3 values per voxel"):
        read_volume(tmp_path)


def test_one_slice(tmp_path):
    grid = Geometry.from_parts((5, 4, 1), (1, 1, 3), (1, 2, 3))
    write_series(tmp_path, ARRAY[..., :1], grid)
    assert same_grid(read_volume(tmp_path).geometry, grid)


def test_folders_and_archives_without_images(tmp_path):
    with pytest.raises(InputError, match="no DICOM images in it"):
        read_volume(tmp_path)
    (tmp_path / "bad.zip").write_text("hello")
    with pytest.raises(InputError, match="not a whole zip archive"):
        read_volume(tmp_path / "bad.zip")


def test_this_folder_and_the_one_above_have_their_own_names(tmp_path, monkeypatch):
    write_series(tmp_path / "patient.v1", ARRAY, GRID)
    (tmp_path / "patient.v1" / "below").mkdir()
    monkeypatch.chdir(tmp_path / "patient.v1")
    assert read_volume(".").name == "patient.v1"
    monkeypatch.chdir(tmp_path / "patient.v1" / "below")
    assert read_volume("..").name == "patient.v1"
