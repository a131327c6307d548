"""DICOM segmentation objects."""

import json
import shutil
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentationTypeValues, SegmentDescription
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from oneslice.errors import InputError
from oneslice.formats import (
    describe_structures,
    place_on_grid,
    read_label_map,
    read_volume,
    refuse_format,
    sidecar_path,
    write_label_map,
    write_volume,
)
from oneslice.geometry import Geometry
from oneslice.volume import Structure, Volume
from tests.formats.dicom_series import enhanced, series_datasets, write_series
from tests.formats.grids import ramp, same_grid
from tests.formats.labelled import GRID, STRUCTURES, labelled


def _write_seg(path, pixels, structures, source, kind=SegmentationTypeValues.BINARY):
    descriptions = [
        SegmentDescription(
            segment_number=s.value,
            segment_label=s.name,
            segmented_property_category=codes.SCT.Organ,
            segmented_property_type=codes.SCT.Liver,
            algorithm_type=SegmentAlgorithmTypeValues.MANUAL,
            display_color=highdicom.color.CIELabColor.from_rgb(*s.color),
        )
        for s in structures
    ]
    seg = highdicom.seg.Segmentation(
        source_images=source,
        pixel_array=pixels,
        segmentation_type=kind,
        segment_descriptions=descriptions,
        series_instance_uid=generate_uid(),
        series_number=2,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="none",
        manufacturer_model_name="none",
        software_versions="1",
        device_serial_number="1",
    )
    seg.save_as(path)


@pytest.mark.parametrize("slices", [[1], [0, 3], [0, 1, 3]])
def test_dicom_seg_of_the_labelled_slices_alone(tmp_path, slices):
    array = np.zeros(GRID.shape, np.uint8)
    array[1:3, 2:5, slices] = 1
    structures = (Structure(1, "liver", (221, 130, 101)),)
    source = series_datasets(ramp(GRID.shape), GRID)
    _write_seg(tmp_path / "labels.dcm", array.T, structures, source)
    assert pydicom.dcmread(tmp_path / "labels.dcm").NumberOfFrames == len(slices)
    placed = place_on_grid(read_label_map(tmp_path / "labels.dcm"), GRID)
    assert np.array_equal(placed.array, array)


@pytest.mark.parametrize("slices", [[0, 3], [0, 2, 5]])
def test_dicom_seg_that_does_not_say_how_far_slices_are_apart(tmp_path, slices):
    """Its frames are slices of the scan, however many lie between them."""
    grid = Geometry.from_parts((6, 7, 8), (1.0, 1.0, 2.5))
    array = np.zeros(grid.shape, np.uint8)
    array[1:3, 2:5, slices] = 1
    source = series_datasets(ramp(grid.shape), grid)
    _write_seg(tmp_path / "labels.dcm", array.T, (Structure(1, "a", (1, 2, 3)),), source)
    seg = pydicom.dcmread(tmp_path / "labels.dcm")
    measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    if "SpacingBetweenSlices" in measures:
        del measures.SpacingBetweenSlices
    seg.save_as(tmp_path / "labels.dcm")
    scan = Volume(ramp(grid.shape), grid)
    placed = place_on_grid(read_label_map(tmp_path / "labels.dcm", scan=scan), grid)
    assert np.array_equal(placed.array, array)
    other = Geometry(grid.shape[::-1], grid.affine[:, [2, 1, 0, 3]])  # the same scan, stored so
    scan = Volume(ramp(other.shape), other)
    placed = place_on_grid(read_label_map(tmp_path / "labels.dcm", scan=scan), other)
    assert np.array_equal(placed.array, array.T)


def test_fractions_are_nolabelled(tmp_path):
    pixels = (labelled(GRID).array == 1).astype(np.float32).T
    source = series_datasets(ramp(GRID.shape), GRID)
    structures = (Structure(1, "a", (1, 2, 3)),)
    kind = SegmentationTypeValues.FRACTIONAL
    _write_seg(tmp_path / "a.dcm", pixels, structures, source, kind)
    with pytest.raises(InputError, match="it holds fractions, not labels"):
        read_label_map(tmp_path / "a.dcm")


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
@pytest.mark.parametrize("in_folder", [False, True])
def test_dicom_seg(tmp_path, kind, in_folder):
    structures = (Structure(1, "liver", (221, 130, 101)), Structure(2, "spleen", (10, 200, 30)))
    array = np.zeros(GRID.shape, np.uint8)
    array[1:3, 2:5, 1] = 1
    array[4, 1, 1:3] = 2
    source = series_datasets(ramp(GRID.shape), GRID)
    _write_seg(tmp_path / "labels.dcm", array.T, structures, source, SegmentationTypeValues[kind])
    if in_folder:
        for k, dataset in enumerate(source):
            dataset.save_as(tmp_path / f"{k}.dcm", enforce_file_format=True)
    back = read_label_map(tmp_path if in_folder else tmp_path / "labels.dcm")
    placed = place_on_grid(back, GRID)
    assert np.array_equal(placed.array, array)
    assert same_grid(placed.geometry, GRID)
    assert [(s.value, s.name) for s in back.structures] == [(1, "liver"), (2, "spleen")]
    for mine, theirs in zip(structures, back.structures, strict=True):
        assert np.abs(np.subtract(mine.color, theirs.color)).max() <= 2


def test_several_segmentations_in_a_folder(tmp_path):
    pixels = (labelled(GRID).array == 1).astype(np.uint8).T
    source = series_datasets(ramp(GRID.shape), GRID)
    for name in ("one.dcm", "two.dcm"):
        _write_seg(tmp_path / name, pixels, (Structure(1, "a", (1, 2, 3)),), source)
    with pytest.raises(InputError, match=r"2 segmentations, give one file of: one\.dcm, two\.dcm"):
        read_label_map(tmp_path)


def test_overlapping_segments_in_dicom_are_refused(tmp_path):
    source = series_datasets(ramp(GRID.shape), GRID)
    both = np.zeros((*GRID.shape[::-1], 2), np.uint8)
    both[1, 2, 3] = 1
    structures = (Structure(1, "a", (1, 2, 3)), Structure(2, "b", (3, 2, 1)))
    _write_seg(tmp_path / "a.dcm", both, structures, source)
    with pytest.raises(InputError, match=r"one label map .*overlap.* non-overlapping"):
        read_label_map(tmp_path / "a.dcm")


def test_dicom_seg_that_says_where_it_lies_with_each_frame(tmp_path):
    """Nothing that all frames share tells how they lie; the scan is of no use then."""
    array = np.zeros(GRID.shape, np.uint8)
    array[1:3, 2:5, 1:3] = 1
    source = series_datasets(ramp(GRID.shape), GRID)
    _write_seg(tmp_path / "a.dcm", array.T, (Structure(1, "a", (1, 2, 3)),), source)
    seg = pydicom.dcmread(tmp_path / "a.dcm")
    shared = seg.SharedFunctionalGroupsSequence[0]
    for frame in seg.PerFrameFunctionalGroupsSequence:
        frame.PixelMeasuresSequence = shared.PixelMeasuresSequence
        frame.PlaneOrientationSequence = shared.PlaneOrientationSequence
    del shared.PixelMeasuresSequence, shared.PlaneOrientationSequence
    seg.save_as(tmp_path / "a.dcm")
    scan = Volume(ramp(GRID.shape), GRID)
    placed = place_on_grid(read_label_map(tmp_path / "a.dcm", scan=scan), GRID)
    assert np.array_equal(placed.array, array)


def _scan(folder, **options):
    """A series on disk, read as a scan, and labels of it."""
    write_series(folder, ramp(GRID.shape), GRID, **options)
    scan = read_volume(folder)
    return scan, labelled(scan.geometry, name="scan", series=scan.series)


def _datasets(folder):
    return [pydicom.dcmread(path) for path in folder.iterdir()]


def _resave(folder, change):
    for dataset in _datasets(folder):
        change(dataset)
        dataset.save_as(dataset.filename)


def test_what_is_written_is_read_again(tmp_path):
    scan, labels = _scan(tmp_path / "scan")
    back = read_label_map(write_label_map(labels, tmp_path / "out.seg.dcm"))
    placed = place_on_grid(back, scan.geometry)
    assert np.array_equal(placed.array, np.array([0, 1, 0, 2])[labels.array])
    assert [(s.value, s.name) for s in back.structures] == [
        (n, s.name) for n, s in enumerate(STRUCTURES, start=1)
    ]
    for mine, theirs in zip(STRUCTURES, back.structures, strict=True):
        assert np.abs(np.subtract(mine.color, theirs.color)).max() <= 2


def test_the_sidecar_tells_the_values_that_segments_had(tmp_path):
    scan, labels = _scan(tmp_path / "scan")
    path = write_label_map(labels, tmp_path / "results/out.seg.dcm")
    sidecar = sidecar_path(path)
    assert sidecar.name == "out.json"
    content = {"structures": describe_structures(STRUCTURES)}
    sidecar.write_text(json.dumps(content))
    for place in (path, path.parent):
        back = read_label_map(place)
        assert back.structures == STRUCTURES
        assert np.array_equal(place_on_grid(back, scan.geometry).array, labels.array)
    sidecar.write_text(json.dumps({"structures": describe_structures(STRUCTURES[:2])}))
    assert [s.value for s in read_label_map(path).structures] == [1, 2, 3]


def test_a_segmentation_belongs_to_the_patient_and_refers_to_each_slice(tmp_path):
    jitter = np.random.default_rng(0).uniform(-0.02, 0.02, (4, 3))
    positions = [GRID.to_world([0, 0, k]) + jitter[k] for k in range(4)]
    _, labels = _scan(tmp_path / "scan", positions=positions)
    seg = pydicom.dcmread(write_label_map(labels, tmp_path / "out.seg.dcm"))
    slices = {s.SOPInstanceUID: s for s in _datasets(tmp_path / "scan")}
    one = next(iter(slices.values()))
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert seg[keyword].value == one[keyword].value
    assert seg.Modality == "SEG" and seg.SeriesInstanceUID != one.SeriesInstanceUID
    assert len(seg.PerFrameFunctionalGroupsSequence) == 3
    for frame in seg.PerFrameFunctionalGroupsSequence:
        (source,) = frame.DerivationImageSequence[0].SourceImageSequence
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        there = slices[source.ReferencedSOPInstanceUID].ImagePositionPatient
        assert np.allclose(np.array(there, float), np.array(position, float), atol=0.1)


def test_a_result_without_labels_is_written_too(tmp_path):
    scan, labels = _scan(tmp_path / "scan")
    empty = replace(labels, array=np.zeros_like(labels.array))
    back = read_label_map(write_label_map(empty, tmp_path / "out.seg.dcm"))
    assert back.array.shape == scan.geometry.shape and not back.array.any()
    assert len(back.structures) == 3


def test_series_in_a_zip_and_of_one_file(tmp_path):
    _, labels = _scan(tmp_path / "scan")
    shutil.make_archive(str(tmp_path / "zipped"), "zip", tmp_path / "scan")
    for path in (tmp_path / "zipped.zip", next((tmp_path / "scan").iterdir())):
        scan = read_volume(path)
        of_it = replace(labels, series=scan.series)
        out = write_label_map(of_it, tmp_path / f"{scan.name}.seg.dcm")
        assert np.array_equal(read_label_map(out).array > 0, labels.array[..., :2] > 0)


def test_one_series_of_several_in_a_folder(tmp_path):
    write_series(tmp_path / "scan", ramp(GRID.shape), GRID, series="1.2.3", description="T1")
    write_series(tmp_path / "scan", ramp(GRID.shape), GRID, series="1.2.4", description="T2")
    scan = read_volume(tmp_path / "scan", series="1.2.4")
    labels = labelled(scan.geometry, series=scan.series)
    seg = pydicom.dcmread(write_label_map(labels, tmp_path / "out.seg.dcm"))
    assert [s.SeriesInstanceUID for s in seg.ReferencedSeriesSequence] == ["1.2.4"]


def test_a_multi_frame_object(tmp_path):
    enhanced(series_datasets(ramp(GRID.shape), GRID)).save_as(tmp_path / "scan.dcm")
    scan = read_volume(tmp_path / "scan.dcm")
    labels = labelled(scan.geometry, series=scan.series)
    path = write_label_map(labels, tmp_path / "out.seg.dcm")
    assert np.array_equal(read_label_map(path).array > 0, labels.array[..., :2] > 0)
    frames = pydicom.dcmread(path).PerFrameFunctionalGroupsSequence
    assert all(f.DerivationImageSequence[0].SourceImageSequence for f in frames)


def test_names_and_patients_beyond_ascii(tmp_path):
    def umlaut(dataset):
        dataset.SpecificCharacterSet, dataset.PatientName = "ISO_IR 100", "Müller^Jörg"

    _scan(tmp_path / "scan")
    _resave(tmp_path / "scan", umlaut)
    scan = read_volume(tmp_path / "scan")
    name = "肝\\臓 " + 70 * "x"
    labels = labelled(scan.geometry, series=scan.series).renamed({name: 1, "ß": 3})
    path = write_label_map(labels, tmp_path / "out.seg.dcm")
    assert str(pydicom.dcmread(path).PatientName) == "Müller^Jörg"
    assert [s.name for s in read_label_map(path).structures] == ["肝/臓 " + 60 * "x", "ß"]


def test_scans_that_were_made_anonymous(tmp_path):
    """What says who the patient is, and when the study was, is left out."""

    def strip(dataset):
        for keyword in (
            *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"),
            *("StudyID", "StudyDate", "StudyTime", "SeriesNumber", "ReferringPhysicianName"),
        ):
            del dataset[keyword]

    _scan(tmp_path / "scan")
    _resave(tmp_path / "scan", strip)
    scan = read_volume(tmp_path / "scan")
    refuse_format(scan, tmp_path / "out.seg.dcm")
    path = write_label_map(labelled(scan.geometry, series=scan.series), tmp_path / "out.dcm")
    assert read_label_map(path).array.any()


@pytest.mark.parametrize("keyword", ["FrameOfReferenceUID", "StudyInstanceUID"])
def test_scans_that_nothing_can_refer_to(tmp_path, keyword):
    _scan(tmp_path / "scan")
    _resave(tmp_path / "scan", lambda dataset: dataset.__delitem__(keyword))
    scan = read_volume(tmp_path / "scan")
    labels = labelled(scan.geometry, series=scan.series)
    for write, what in ((refuse_format, scan), (write_label_map, labels)):
        with pytest.raises(InputError, match="cannot be a DICOM SEG; choose another format"):
            write(what, tmp_path / "out.seg.dcm")
    assert [path.name for path in tmp_path.iterdir()] == ["scan"]


def test_what_is_no_dicom_scan_has_no_dicom_segmentation(tmp_path):
    scan = Volume(ramp(GRID.shape), GRID, name="p1")
    with pytest.raises(InputError, match="p1: is no DICOM scan, so its labels cannot be"):
        refuse_format(scan, tmp_path / "out.seg.dcm")
    refuse_format(scan, tmp_path / "out.nii.gz")
    with pytest.raises(InputError, match="choose another format"):
        write_label_map(labelled(GRID), tmp_path / "out.dcm")
    with pytest.raises(InputError, match="holds labels, no image"):
        write_volume(scan, tmp_path / "out.dcm")
    assert not list(tmp_path.iterdir())


def test_a_scan_that_is_not_there_any_more(tmp_path):
    _, labels = _scan(tmp_path / "scan")
    shutil.rmtree(tmp_path / "scan")
    with pytest.raises(InputError, match=r"scan: cannot be read \(No such file"):
        write_label_map(labels, tmp_path / "out.seg.dcm")
