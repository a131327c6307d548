"""What is written comes back on the same voxels and millimetres, through every format."""

import tempfile
import warnings
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given, settings
from hypothesis import strategies as st

from oneslice.choices import Modality
from oneslice.errors import OneSliceWarning
from oneslice.formats import read_label_map, read_volume, write_label_map, write_volume
from oneslice.formats.nifti import write_nifti
from oneslice.geometry import Geometry
from oneslice.volume import LabelMap, Volume
from tests.formats.dicom_series import write_series
from tests.formats.grids import geometries, ramp, same_grid

SUFFIXES = [".nii", ".nii.gz", ".nrrd", ".seg.nrrd", ".mha"]
TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
DTYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "f4", "f8"]
quick = settings(max_examples=25, deadline=None)


def write_image(array, geometry, path):
    """Write with ITK, whichever library reads the format."""
    image = sitk.GetImageFromArray(array.T)
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction.ravel().tolist())
    sitk.WriteImage(image, str(path))


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.parametrize("suffix", SUFFIXES)
@quick
@given(geometry=geometries(), top=st.sampled_from([3, 255, 60000]))
def test_label_maps_come_back(folder, suffix, geometry, top):
    array = ramp(geometry.shape, np.int64) % 4 * (top // 3)
    path = write_label_map(LabelMap(array, geometry), folder / f"a{suffix}", overwrite=True)
    back = read_label_map(path)
    assert np.array_equal(back.array, array)
    assert back.array.dtype == (np.uint8 if array.max() < 256 else np.uint16)
    assert same_grid(back.geometry, geometry)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".nhdr", ".mhd"])
@quick
@given(geometry=geometries(least=2))
def test_a_landmark_keeps_its_millimetres(folder, suffix, geometry):
    index = np.array(geometry.shape) - 2
    array = np.zeros(geometry.shape, np.float32)
    array[tuple(index)] = 7.5
    path = folder / f"landmark{suffix}"
    write_image(array, geometry, path)
    volume = read_volume(path)
    found = np.argwhere(volume.array == 7.5)
    assert len(found) == 1
    assert np.allclose(volume.geometry.to_world(found[0]), geometry.to_world(index), atol=1e-3)


@quick
@given(geometry=geometries(least=2))
def test_nifti_of_another_library(folder, geometry):
    array = ramp(geometry.shape)
    nibabel.save(nibabel.Nifti1Image(array, TO_RAS @ geometry.affine), folder / "nibabel.nii.gz")
    volume = read_volume(folder / "nibabel.nii.gz")
    assert np.array_equal(volume.array, array)
    assert same_grid(volume.geometry, geometry, tolerance=1e-3)  # it stores 32 bit floats


@quick
@given(geometry=geometries(least=2))
def test_labels_as_another_library_reads_them(folder, geometry):
    labels = LabelMap(ramp(geometry.shape) % 3, geometry)
    image = nibabel.load(write_label_map(labels, folder / "b.nii.gz", overwrite=True))
    assert np.array_equal(np.asarray(image.dataobj), labels.array)
    assert np.abs(TO_RAS @ image.affine - geometry.affine).max() < 1e-3


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("dtype", ["?", *DTYPES, "f2"])
def test_volumes_are_written(tmp_path, suffix, dtype):
    array = ramp((4, 3, 2), dtype)
    geometry = Geometry.from_parts((4, 3, 2), (1, 2, 3), (4, 5, 6))
    back = read_volume(write_volume(Volume(array, geometry), tmp_path / f"a{suffix}"))
    assert np.array_equal(back.array, array)
    assert same_grid(back.geometry, geometry)


def test_nifti_in_metres(tmp_path):
    image = nibabel.Nifti1Image(ramp((2, 3, 4)), np.diag([0.002, 0.003, 0.004, 1]))
    image.header.set_xyzt_units("meter")
    nibabel.save(image, tmp_path / "a.nii")
    assert np.allclose(read_volume(tmp_path / "a.nii").geometry.spacing, (2, 3, 4))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_tenth_of_a_micrometre(tmp_path, suffix):
    geometry = Geometry.from_parts((4, 5, 6), (1e-4, 1e-4, 3e-4), (0.01, 0.02, 0.03))
    path = write_label_map(LabelMap(ramp((4, 5, 6)) % 3, geometry), tmp_path / f"a{suffix}")
    back = read_label_map(path)
    assert np.array_equal(back.array, ramp((4, 5, 6)) % 3)
    assert geometry.difference(back.geometry) is None


@pytest.mark.parametrize(
    ("codes", "kept"), [((4, 1), 4), ((0, 2), 2), ((3, 0), 3), ((0, 0), 0), ((1, 4), 1)]
)
def test_labels_lie_in_the_space_of_their_nifti_scan(tmp_path, codes, kept):
    image = nibabel.Nifti1Image(ramp((2, 3, 4)), np.diag([1, 2, 3, 1]))
    image.set_sform(image.affine, codes[0])
    image.set_qform(image.affine, codes[1])
    nibabel.save(image, tmp_path / "scan.nii")
    scan = read_volume(tmp_path / "scan.nii")
    labels = LabelMap(ramp((2, 3, 4)) % 2, scan.geometry)
    header = nibabel.load(write_label_map(labels, tmp_path / "labels.nii.gz")).header
    assert (header["sform_code"], header["qform_code"]) == (kept, kept)


def test_nifti_2_of_another_byte_order(tmp_path):
    array = ramp((2, 3, 4), ">f8")
    header = nibabel.Nifti2Header(endianness=">")
    nibabel.save(nibabel.Nifti2Image(array, np.eye(4), header), tmp_path / "a.nii.gz")
    back = read_volume(tmp_path / "a.nii.gz").array
    assert np.array_equal(back, array)
    assert back.dtype.isnative


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_hair_of_shear_is_kept(tmp_path, suffix):
    affine = np.eye(4)
    affine[0, 1] = 0.002
    geometry = Geometry((4, 5, 6), affine)
    path = write_label_map(LabelMap(ramp((4, 5, 6)) % 3, geometry), tmp_path / f"a{suffix}")
    assert same_grid(read_label_map(path).geometry, geometry)


def test_nrrd_in_ras(tmp_path):
    array = ramp((2, 3, 4))
    head = (
        "NRRD0004\ntype: int16\ndimension: 3\nspace: right-anterior-superior\nsizes: 2 3 4\n"
        "space directions: (2,0,0) (0,3,0) (0,0,4)\nkinds: domain domain domain\n"
        "endian: little\nencoding: raw\nspace origin: (10,20,30)\n\n"
    )
    (tmp_path / "ras.nrrd").write_bytes(head.encode() + array.tobytes(order="F"))
    volume = read_volume(tmp_path / "ras.nrrd")
    assert np.array_equal(volume.array, array)
    assert np.allclose(volume.geometry.to_world([1, 1, 1]), [-12, -23, 34])


@settings(max_examples=15, deadline=None)
@given(
    geometry=geometries(right_handed=True, least=2),
    seed=st.integers(0, 99),
)
def test_dicom_comes_back(geometry, seed):
    array = ramp(geometry.shape)
    with tempfile.TemporaryDirectory() as name:
        write_series(Path(name), array, geometry, seed=seed, modality="MR")
        volume = read_volume(name)
    assert np.array_equal(volume.array, array)
    assert same_grid(volume.geometry, geometry)
    assert volume.slice_axis == 2
    assert volume.modality is Modality.MR


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_every_number_type(tmp_path, suffix, dtype):
    array = ramp((4, 3, 2), dtype)
    sitk.WriteImage(sitk.GetImageFromArray(array.T), str(tmp_path / f"a{suffix}"))
    back = read_volume(tmp_path / f"a{suffix}").array
    assert np.array_equal(back, array)
    assert back.dtype == array.dtype


def test_nifti_scaling_is_applied(tmp_path):
    image = nibabel.Nifti1Image(np.linspace(-1, 1, 24).reshape(2, 3, 4), np.eye(4))
    image.set_data_dtype(np.int16)  # stored with a slope
    nibabel.save(image, tmp_path / "a.nii")
    back = read_volume(tmp_path / "a.nii").array
    assert np.allclose(back, np.linspace(-1, 1, 24).reshape(2, 3, 4), atol=1e-4)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slice_axis_of_nifti(tmp_path, axis):
    image = nibabel.Nifti1Image(ramp((2, 3, 4)), np.eye(4))
    nibabel.save(image, tmp_path / "unsaid.nii")
    assert read_volume(tmp_path / "unsaid.nii").slice_axis is None
    image.header.set_dim_info(*[a for a in range(3) if a != axis], axis)
    nibabel.save(image, tmp_path / "said.nii")
    assert read_volume(tmp_path / "said.nii").slice_axis == axis


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_frames(tmp_path, suffix):
    array = ramp((4, 3, 2, 5))
    frames = [sitk.GetImageFromArray(array[..., t].T) for t in range(5)]
    for frame in frames:
        frame.SetOrigin((1, 2, 3))
        frame.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1))
    sitk.WriteImage(sitk.JoinSeries(frames), str(tmp_path / f"a{suffix}"))
    volume = read_volume(tmp_path / f"a{suffix}", frame=3)
    assert np.array_equal(volume.array, array[..., 3])
    expected = Geometry.from_parts(
        (4, 3, 2), origin=(1, 2, 3), direction=np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    )
    assert same_grid(volume.geometry, expected)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha", ".png", ".tif"])
def test_two_dimensions_are_one_slice(tmp_path, suffix):
    array = ramp((5, 4), np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(array.T), str(tmp_path / f"flat{suffix}"))
    volume = read_volume(tmp_path / f"flat{suffix}")
    assert np.array_equal(volume.array, array[..., None])
    assert volume.name == "flat"
    assert volume.source == tmp_path / f"flat{suffix}"


def test_packed_and_plain_nifti_of_one_name_are_told_apart(tmp_path):
    for suffix, value in ((".nii", 1), (".nii.gz", 2)):
        array = np.zeros((3, 4, 5), np.uint8)
        array[1, 2, 3] = value
        write_nifti(array, Geometry(array.shape, np.eye(4)), tmp_path / f"a{suffix}")
    assert read_volume(tmp_path / "a.nii").array.max() == 1
    assert read_volume(tmp_path / "a.nii.gz").array.max() == 2


def nifti(path, sform=None, qform=None):
    """An image with these pairs of affine and code."""
    image = nibabel.Nifti1Image(ramp((4, 5, 6), np.int16), None)
    image.header.set_zooms((2, 2, 5))
    image.set_sform(*(sform or (None, 0)))
    image.set_qform(*(qform or (None, 0)))
    nibabel.save(image, path)
    return path


def test_a_scan_that_does_not_say_where_it_lies_keeps_that(tmp_path):
    """Programs differ in what they make of it, so scan and labels must say the same."""
    scan = read_volume(nifti(tmp_path / "scan.nii.gz"))
    labels = LabelMap(np.ones((4, 5, 6), np.uint8), scan.geometry)
    again = nibabel.load(write_label_map(labels, tmp_path / "labels.nii.gz"))
    assert again.header["sform_code"] == again.header["qform_code"] == 0
    by_itk = [sitk.ReadImage(str(tmp_path / f"{name}.nii.gz")) for name in ("scan", "labels")]
    for of in ("GetOrigin", "GetDirection", "GetSpacing"):
        assert np.allclose(*(getattr(image, of)() for image in by_itk))


def test_a_part_of_such_a_scan_says_where_it_lies(tmp_path):
    scan = read_volume(nifti(tmp_path / "scan.nii.gz"))
    part = scan.geometry.part((slice(0, 2), slice(None), slice(None)))
    labels = LabelMap(np.ones(part.shape, np.uint8), part)
    again = read_label_map(write_label_map(labels, tmp_path / "part.nii.gz"))
    assert part.difference(again.geometry) is None


def test_two_places_in_one_header_are_told(tmp_path):
    affine = np.diag([2.0, 2.0, 5.0, 1.0])
    moved = affine.copy()
    moved[0, 3] = 3
    with pytest.warns(OneSliceWarning, match="up to 3 apart"):
        volume = read_volume(nifti(tmp_path / "a.nii", (moved, 2), (affine, 1)))
    assert volume.geometry.origin == (-3, 0, 0)  # LPS
    moved[0, 3] = 0.05
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_volume(nifti(tmp_path / "b.nii", (moved, 2), (affine, 1)))
        read_volume(nifti(tmp_path / "c.nii", (moved, 2)))
        read_volume(nifti(tmp_path / "d.nii", None, (moved, 1)))
