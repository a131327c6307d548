"""Names and colours of label maps."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given
from hypothesis import strategies as st

from oneslice.choices import Format
from oneslice.errors import InputError
from oneslice.formats import (
    describe_structures,
    native_format,
    read_label_map,
    sidecar_path,
    write_label_map,
)
from oneslice.formats.slicer import segments_to_structures, structures_to_segments
from oneslice.geometry import Geometry
from oneslice.volume import LabelMap, Structure
from tests.formats.grids import ramp
from tests.formats.labelled import STRUCTURES, labelled


def test_seg_nrrd_keeps_names_and_colours(tmp_path):
    back = read_label_map(write_label_map(labelled(), tmp_path / "out.seg.nrrd"))
    assert back.structures == STRUCTURES
    assert np.array_equal(back.array, labelled().array)
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
    write_label_map(labelled(), tmp_path / "out.seg.nrrd")
    image = sitk.ReadImage(str(tmp_path / "out.seg.nrrd"))
    fields = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    assert fields["NRRD_space"] == "left-posterior-superior"
    assert fields["Segment0_Extent"] == "1 2 2 4 1 1"
    assert fields["Segment1_Extent"] == "4 4 1 1 0 1"
    assert fields["Segment2_Extent"] == "0 -1 0 -1 0 -1"
    assert fields["Segment1_LabelValue"] == "3"
    assert fields["Segment1_Layer"] == "0"
    assert [float(x) for x in fields["Segment1_Color"].split()] == pytest.approx([0, 1, 7 / 255])
    assert fields["Segmentation_ContainedRepresentationNames"] == "Binary labelmap|"


def test_what_a_file_calls_its_segments_goes_before_what_lies_beside_it(tmp_path):
    path = write_label_map(labelled(), tmp_path / "a.seg.nrrd")
    stale = replace(STRUCTURES[0], name="spleen")
    sidecar_path(path).write_text(json.dumps({"structures": describe_structures([stale])}))
    assert read_label_map(path).structures == STRUCTURES


def test_segments_without_values_are_counted(tmp_path):
    """As Slicer wrote them before it had values of its own."""
    image = sitk.GetImageFromArray((labelled().array > 0).astype(np.uint8).T)
    image.SetMetaData("Segment0_Name", "liver")
    sitk.WriteImage(image, str(tmp_path / "a.seg.nrrd"))
    (liver,) = read_label_map(tmp_path / "a.seg.nrrd").structures
    assert (liver.value, liver.name) == (1, "liver")


def test_overlapping_layers_are_refused(tmp_path):
    layers = np.stack([labelled().array.T] * 2, axis=-1)
    image = sitk.GetImageFromArray(layers, isVector=True)
    image.SetMetaData("Segment0_Name", "liver")
    sitk.WriteImage(image, str(tmp_path / "a.seg.nrrd"))
    with pytest.raises(InputError, match=r"segments overlap \(2 layers\)"):
        read_label_map(tmp_path / "a.seg.nrrd")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_names_from_the_sidecar(tmp_path, suffix):
    path = write_label_map(labelled(), tmp_path / f"case.1{suffix}")
    assert [s.name for s in read_label_map(path).structures] == ["label 1", "label 3"]
    assert sidecar_path(path) == tmp_path / "case.1.json"
    content = {"seed": 0, "structures": describe_structures(STRUCTURES)}
    sidecar_path(path).write_text(json.dumps(content))
    assert read_label_map(path).structures == STRUCTURES


@pytest.mark.parametrize("content", ["{}", "[1]", "not json", '{"RepetitionTime": 2}'])
def test_foreign_sidecars_are_ignored(tmp_path, content):
    path = write_label_map(labelled(), tmp_path / "a.nii.gz")
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
    path = write_label_map(labelled(), tmp_path / "a.nii.gz")
    sidecar_path(path).write_text(json.dumps({"structures": entries}))
    with pytest.raises(InputError, match=r"a\.json: .structures. must be a list"):
        read_label_map(path)


_OF_ANY_SCAN = [form for form in Format if form is not Format.DICOM_SEG]


@pytest.mark.parametrize("top", [255, 256, 65535])
@pytest.mark.parametrize("form", _OF_ANY_SCAN)
def test_smallest_type(tmp_path, form, top):
    array = ramp((3, 3, 3), np.int64)
    array[0, 0, 0] = top
    path = write_label_map(
        LabelMap(array, Geometry((3, 3, 3), np.eye(4))), tmp_path / f"a{form.suffix}"
    )
    back = read_label_map(path).array
    assert back.dtype == (np.uint8 if top < 256 else np.uint16)
    assert np.array_equal(back, array)


@pytest.mark.parametrize("form", _OF_ANY_SCAN)
def test_files_are_compressed(tmp_path, form):
    labels = LabelMap(np.zeros((60, 60, 60), np.uint8), Geometry((60, 60, 60), np.eye(4)))
    path = write_label_map(labels, tmp_path / f"a{form.suffix}")
    assert path.stat().st_size < 10_000


@pytest.mark.parametrize("name", ["a.txt", "a", "a.mhd", "a.png", ".nrrd"])
def test_unknown_outputs(tmp_path, name):
    with pytest.raises(InputError, match=r"end its name with \.nii\.gz"):
        write_label_map(labelled(), tmp_path / name)
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
