"""Label pictures of some slices of a stack."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from PIL import Image

from oneslice.errors import InputError
from oneslice.formats import place_on_grid, read_label_map, read_volume, write_volume
from oneslice.geometry import Geometry
from oneslice.support import Support
from oneslice.volume import Volume
from tests.formats.grids import ramp

SHAPE = (8, 7, 12)
STACK = ramp(SHAPE, np.uint16)
ORGAN = np.zeros(SHAPE[:2], np.uint8)
ORGAN[2:5, 3:6] = 1


def _save(path, picture):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(picture.T.copy()).save(path)
    return path


@pytest.fixture
def scan(tmp_path):
    for k in range(12):
        _save(tmp_path / f"scan/s{k:03d}.png", STACK[..., k])
    return tmp_path / "scan"


def _refused(scan, labels):
    with pytest.raises(InputError, match="does not say which of the 12 slices of scan it labels"):
        Support.load(scan, labels)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_label_picture_is_of_the_slice_of_its_name(tmp_path, scan, suffix):
    support = Support.load(scan, _save(tmp_path / f"labels/s006.{suffix}", ORGAN))
    assert np.array_equal(support.labels.array[..., 6], ORGAN)
    assert support.slices_with(support.structures[0]) == (6,)


def test_several_label_pictures_are_of_the_slices_of_their_names(tmp_path, scan):
    for k in (9, 2):
        _save(tmp_path / f"labels/s{k:03d}.png", ORGAN * k)
    labels = Support.load(scan, tmp_path / "labels").labels.array
    assert np.flatnonzero(labels.any((0, 1))).tolist() == [2, 9]
    assert np.array_equal(labels[..., 9], ORGAN * 9)


def test_as_many_label_pictures_as_slices_need_no_names(tmp_path, scan):
    for k in range(12):
        _save(tmp_path / f"labels/{k}.png", ORGAN * (k == 4))
    assert Support.load(scan, tmp_path / "labels").labels.array[..., 4].any()


def test_a_picture_of_another_name_is_refused(tmp_path, scan):
    _refused(scan, _save(tmp_path / "label.png", ORGAN))
    _save(tmp_path / "labels/s001.png", ORGAN)
    _save(tmp_path / "labels/s012.png", ORGAN)
    _refused(scan, tmp_path / "labels")


def test_a_picture_of_another_size_is_refused(tmp_path, scan):
    small = _save(tmp_path / "s006.png", ORGAN[:-1])
    for support in (scan, scan / "s006.png"):
        with pytest.raises(InputError, match=r"7 x 7 pixels, and the slices of .* are of 8 x 7"):
            Support.load(support, small)


@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.tif"])
def test_a_picture_for_a_scan_without_slices_of_a_name_is_refused(tmp_path, name):
    path = tmp_path / name
    if name.endswith("tif"):
        first, *others = [Image.fromarray(STACK[..., k].T.copy()) for k in range(12)]
        first.save(path, save_all=True, append_images=others)
    else:
        write_volume(Volume(STACK, Geometry.from_parts(SHAPE)), path)
    _refused(path, _save(tmp_path / "s006.png", ORGAN))
    _refused(path, _save(tmp_path / "scan.png", ORGAN))


@pytest.mark.parametrize("suffix", ["nii.gz", "mha"])
def test_a_2d_file_does_not_say_which_slice_it_is(tmp_path, suffix):
    grid = Geometry.from_parts(SHAPE)
    scan = write_volume(Volume(STACK, grid), tmp_path / f"scan.{suffix}")
    labels = tmp_path / f"labels.{suffix}"
    if suffix == "mha":
        sitk.WriteImage(sitk.GetImageFromArray(ORGAN.T), str(labels))
    else:
        nibabel.save(nibabel.Nifti1Image(ORGAN, np.diag([-1, -1, 1, 1])), labels)
    _refused(scan, labels)
    alone = write_volume(Volume(STACK[..., :1], grid.part(np.s_[:, :, :1])), tmp_path / "one.nii")
    assert np.array_equal(Support.load(alone, labels).labels.array[..., 0], ORGAN)


def test_one_3d_slice_says_where_it_lies(tmp_path):
    affine = np.diag([-1.0, -1, 1, 1])
    affine[2, 3] = 6
    scan = write_volume(Volume(STACK, Geometry.from_parts(SHAPE)), tmp_path / "scan.nii.gz")
    nibabel.save(nibabel.Nifti1Image(ORGAN[..., None], affine), tmp_path / "labels.nii.gz")
    assert Support.load(scan, tmp_path / "labels.nii.gz").labels.array[..., 6].any()


def test_labels_of_a_scan_in_memory(tmp_path, scan):
    volume = Volume(STACK, Geometry.from_parts(SHAPE), slice_axis=2)
    picture = _save(tmp_path / "s006.png", ORGAN)
    with pytest.raises(InputError, match="does not say which"):
        read_label_map(picture, scan=volume)
    labels = read_label_map(picture, scan=read_volume(scan))
    assert place_on_grid(labels, volume.geometry).array[..., 6].any()
