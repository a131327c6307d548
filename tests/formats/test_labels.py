"""Names and colours of label maps, and DICOM SEG."""

import json
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentationTypeValues, SegmentDescription
from hypothesis import given
from hypothesis import strategies as st
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from oneslice.choices import Format
from oneslice.errors import InputError
from oneslice.formats import (
    describe_structures,
    native_format,
    place_on_grid,
    read_label_map,
    sidecar_path,
    write_label_map,
)
from oneslice.formats.slicer import segments_to_structures, structures_to_segments
from oneslice.geometry import Geometry
from oneslice.volume import LabelMap, Structure, Volume
from tests.formats.dicom_series import series_datasets
from tests.formats.grids import ramp, same_grid

GRID = Geometry.from_parts((6, 5, 4), (1, 2, 3), (10, 20, 30))
STRUCTURES = (
    Structure(1, "liver", (221, 130, 101)),
    Structure(3, "left kidney é", (0, 255, 7)),
    Structure(9, "absent", (1, 2, 3)),
)


def _labels(structures=STRUCTURES):
    array = np.zeros(GRID.shape, np.uint8)
    array[1:3, 2:5, 1] = 1
    array[4, 1, 0:4] = 3
    return LabelMap(array, GRID, structures)


def test_seg_nrrd_keeps_names_and_colours(tmp_path):
    back = read_label_map(write_label_map(_labels(), tmp_path / "out.seg.nrrd"))
    assert back.structures == STRUCTURES
    assert np.array_equal(back.array, _labels().array)
    assert back.name == str(tmp_path / "out.seg.nrrd")


@given(
    st.lists(
        st.builds(
            Structure,
            st.integers(1, 65535),
            st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1),
            st.tuples(*[st.integers(0, 255)] * 3),
        ),
        unique_by=lambda s: s.value,
    )
)
def test_any_name_and_colour_fits_into_slicers_header(structures):
    labels = LabelMap(np.zeros((1, 1, 1), np.uint8), Geometry((1, 1, 1), np.eye(4)), structures)
    back = segments_to_structures(structures_to_segments(labels))
    assert back == tuple(sorted(structures, key=lambda s: s.value))


def test_what_slicer_needs(tmp_path):
    write_label_map(_labels(), tmp_path / "out.seg.nrrd")
    image = sitk.ReadImage(str(tmp_path / "out.seg.nrrd"))
    fields = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    assert fields["NRRD_space"] == "left-posterior-superior"
    assert fields["Segment0_Extent"] == "1 2 2 4 1 1"
    assert fields["Segment1_Extent"] == "4 4 1 1 0 3"
    assert fields["Segment2_Extent"] == "0 -1 0 -1 0 -1"
    assert fields["Segment1_LabelValue"] == "3"
    assert fields["Segment1_Layer"] == "0"
    assert [float(x) for x in fields["Segment1_Color"].split()] == pytest.approx([0, 1, 7 / 255])
    assert fields["Segmentation_ContainedRepresentationNames"] == "Binary labelmap|"


def test_what_a_file_calls_its_segments_goes_before_what_lies_beside_it(tmp_path):
    path = write_label_map(_labels(), tmp_path / "a.seg.nrrd")
    stale = replace(STRUCTURES[0], name="spleen")
    sidecar_path(path).write_text(json.dumps({"structures": describe_structures([stale])}))
    assert read_label_map(path).structures == STRUCTURES


def test_segments_without_values_are_counted(tmp_path):
    """As Slicer wrote them before it had values of its own."""
    image = sitk.GetImageFromArray((_labels().array > 0).astype(np.uint8).T)
    image.SetMetaData("Segment0_Name", "liver")
    sitk.WriteImage(image, str(tmp_path / "a.seg.nrrd"))
    (liver,) = read_label_map(tmp_path / "a.seg.nrrd").structures
    assert (liver.value, liver.name) == (1, "liver")


def test_overlapping_layers_are_refused(tmp_path):
    layers = np.stack([_labels().array.T] * 2, axis=-1)
    image = sitk.GetImageFromArray(layers, isVector=True)
    image.SetMetaData("Segment0_Name", "liver")
    sitk.WriteImage(image, str(tmp_path / "a.seg.nrrd"))
    with pytest.raises(InputError, match=r"segments overlap \(2 layers\)"):
        read_label_map(tmp_path / "a.seg.nrrd")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_names_from_the_sidecar(tmp_path, suffix):
    path = write_label_map(_labels(), tmp_path / f"case.1{suffix}")
    assert [s.name for s in read_label_map(path).structures] == ["label 1", "label 3"]
    assert sidecar_path(path) == tmp_path / "case.1.json"
    content = {"seed": 0, "structures": describe_structures(STRUCTURES)}
    sidecar_path(path).write_text(json.dumps(content))
    assert read_label_map(path).structures == STRUCTURES


@pytest.mark.parametrize("content", ["{}", "[1]", "not json", '{"RepetitionTime": 2}'])
def test_foreign_sidecars_are_ignored(tmp_path, content):
    path = write_label_map(_labels(), tmp_path / "a.nii.gz")
    sidecar_path(path).write_text(content)
    assert len(read_label_map(path).structures) == 2


@pytest.mark.parametrize(
    "entries",
    [
        7,
        [{"value": 1}],
        [[1]],
        [{"value": 1, "name": "a", "color": [1]}],
        [{"value": 0, "name": "a", "color": [1, 2, 3]}],
    ],
)
def test_spoilt_sidecars_are_named(tmp_path, entries):
    path = write_label_map(_labels(), tmp_path / "a.nii.gz")
    sidecar_path(path).write_text(json.dumps({"structures": entries}))
    with pytest.raises(InputError, match=r"a\.json: .structures. must be a list"):
        read_label_map(path)


@pytest.mark.parametrize("top", [255, 256, 65535])
@pytest.mark.parametrize("form", list(Format))
def test_smallest_type(tmp_path, form, top):
    array = ramp((3, 3, 3), np.int64)
    array[0, 0, 0] = top
    path = write_label_map(
        LabelMap(array, Geometry((3, 3, 3), np.eye(4))), tmp_path / f"a{form.suffix}"
    )
    back = read_label_map(path).array
    assert back.dtype == (np.uint8 if top < 256 else np.uint16)
    assert np.array_equal(back, array)


@pytest.mark.parametrize("form", list(Format))
def test_files_are_compressed(tmp_path, form):
    labels = LabelMap(np.zeros((60, 60, 60), np.uint8), Geometry((60, 60, 60), np.eye(4)))
    path = write_label_map(labels, tmp_path / f"a{form.suffix}")
    assert path.stat().st_size < 10_000


@pytest.mark.parametrize("name", ["a.txt", "a", "a.mhd", "a.png", ".nrrd"])
def test_unknown_outputs(tmp_path, name):
    with pytest.raises(InputError, match=r"end its name with \.nii\.gz"):
        write_label_map(_labels(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_native_format(tmp_path):
    expected = {
        "a.nii": Format.NIFTI,
        "a.NII.GZ": Format.NIFTI,
        "a.nrrd": Format.NRRD,
        "a.nhdr": Format.NRRD,
        "a.seg.nrrd": Format.NRRD,
        "a.mhd": Format.MHA,
        "a.dcm": Format.NIFTI,
        "a.png": Format.NIFTI,
        "IM0001": Format.NIFTI,
    }
    assert {name: native_format(name) for name in expected} == expected
    assert native_format(tmp_path) is Format.NIFTI


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


def test_fractions_are_no_labels(tmp_path):
    pixels = (_labels().array == 1).astype(np.float32).T
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
    pixels = (_labels().array == 1).astype(np.uint8).T
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
