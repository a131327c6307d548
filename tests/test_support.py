import nibabel
import numpy as np
import pytest

from oneslice.errors import InputError
from oneslice.formats import write_label_map, write_volume
from oneslice.geometry import Geometry
from oneslice.support import Support, all_structures, by_scan, with_given
from oneslice.volume import LabelMap, Structure, Volume
from tests.cohort import STRUCTURES, patient


def volume(shape=(8, 9, 10), spacing=(1.0, 1.0, 1.0)):
    array = np.random.default_rng(0).integers(0, 99, shape)
    return Volume(array, Geometry.from_parts(shape, spacing), name="scan")


def labelled(scan, *boxes, value=1):
    array = np.zeros(scan.array.shape, np.uint8)
    for box in boxes:
        array[box] = value
    return LabelMap(array, scan.geometry, name="labels")


ALL = slice(None)
BLOB = slice(2, 6)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_one_labelled_slice_decides_the_axis(axis):
    scan = volume(spacing=(1.0, 1.0, 5.0))
    box = [BLOB, BLOB, BLOB]
    box[axis] = 3
    assert Support(scan, labelled(scan, tuple(box))).axis == axis


@pytest.mark.parametrize("coarse", [0, 1, 2])
def test_otherwise_the_through_plane_axis(coarse):
    spacing = [1.0, 1.0, 1.0]
    spacing[coarse] = 5.0
    scan = volume(spacing=tuple(spacing))
    assert Support(scan, labelled(scan, (BLOB, BLOB, BLOB))).axis == coarse
    line = [3, 3, 3]
    line[(coarse + 1) % 3] = BLOB
    assert Support(scan, labelled(scan, tuple(line))).axis == coarse


def test_the_user_s_axis_overrides():
    scan = volume()
    assert Support(scan, labelled(scan, (3, BLOB, BLOB)), axis=1).axis == 1
    with pytest.raises(InputError, match="from 0 to 2, not 3"):
        Support(scan, labelled(scan, (3, BLOB, BLOB)), axis=3)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 1.0, 1.0), (1.0, 3.0, 1.0)])
def test_a_picture_is_one_slice_whatever_its_spacing(axis, spacing):
    shape = [8, 9, 10]
    shape[axis] = 1
    scan = volume(tuple(shape), spacing)
    box = [BLOB, BLOB, BLOB]
    box[axis] = 0
    assert Support(scan, labelled(scan, tuple(box))).axis == axis


def test_another_grid_is_refused():
    scan, other = volume(), volume((8, 9, 11))
    with pytest.raises(InputError, match="not on the grid of scan"):
        Support(scan, labelled(other, (BLOB, BLOB, 3)))
    moved = Geometry.from_parts(scan.array.shape, origin=(0.5, 0, 0))
    with pytest.raises(InputError, match=r"corners up to 0\.5 voxels apart"):
        Support(scan, LabelMap(labelled(scan, (BLOB, BLOB, 3)).array, moved))


def test_empty_labels_are_refused():
    scan = volume()
    with pytest.raises(InputError, match="no slice is labelled"):
        Support(scan, labelled(scan))


def test_only_labelled_structures_count():
    support = patient(0).labelled([6], values=(1, 3))
    assert [s.name for s in support.structures] == ["liver", "kidney"]


def test_names_must_cover_the_labels(tmp_path):
    scan = patient(0)
    image = write_volume(scan.image, tmp_path / "p.nii.gz")
    labels = write_label_map(scan.support.labels, tmp_path / "l.nii.gz")
    with pytest.raises(InputError, match="no name for label 2"):
        Support.load(image, labels, names={"a": 1, "c": 3})
    named = Support.load(image, labels, names={"a": 1, "b": 2, "c": 3})
    assert [s.name for s in named.structures] == ["a", "b", "c"]
    assert next(s.name for s in Support.load(image, labels).structures) == "label 1"


def test_labels_in_another_storage_order_are_turned(tmp_path):
    scan = patient(0)
    grid, array = scan.image.geometry, scan.support.labels.array
    affine = grid.affine @ np.diag([-1.0, 1, -1, 1])
    affine[:3, 3] = grid.to_world([grid.shape[0] - 1, 0, grid.shape[2] - 1])
    turned = LabelMap(array[::-1, :, ::-1], Geometry(grid.shape, affine), STRUCTURES)
    image = write_volume(scan.image, tmp_path / "p.nii.gz")
    support = Support.load(image, write_label_map(turned, tmp_path / "l.seg.nrrd"))
    assert np.array_equal(support.labels.array, array)
    assert support.structures == STRUCTURES


def test_one_frame_of_a_film_and_of_its_labels(tmp_path):
    shape = (6, 5, 4, 2)
    scan, labels = np.random.default_rng(0).random(shape), np.zeros(shape, np.uint8)
    labels[2:4, 2:4, 1, 0], labels[2:4, 2:4, 3, 1] = 1, 2
    for name, array in {"scan": scan, "labels": labels, "still": labels[..., 1]}.items():
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / f"{name}.nii.gz")
    for name in ("labels", "still"):
        support = Support.load(tmp_path / "scan.nii.gz", tmp_path / f"{name}.nii.gz", frame=1)
        assert np.array_equal(support.labels.array, labels[..., 1])
        assert np.array_equal(support.image.array, scan[..., 1])
    with pytest.raises(InputError, match="no frame 2"):
        Support.load(tmp_path / "still.nii.gz", tmp_path / "labels.nii.gz", frame=2)


def test_it_knows_its_own_scan():
    scan = patient(0)
    copy = Volume(
        scan.image.array.copy(), Geometry(scan.image.geometry.shape, scan.image.geometry.affine)
    )
    assert scan.support.is_of(copy)
    changed = scan.image.array.copy()
    changed[0, 0, 0] += 1
    assert not scan.support.is_of(Volume(changed, scan.image.geometry))
    assert not scan.support.is_of(patient(1).image)
    moved = Geometry.from_parts(scan.image.geometry.shape, scan.image.geometry.spacing)
    assert not scan.support.is_of(Volume(scan.image.array, moved))


@pytest.mark.parametrize("upwards", [1.0, -1.0])
def test_a_support_is_described_by_its_slices_as_the_file_counts_them(upwards):
    array = np.arange(324).reshape(6, 6, 9)
    grid = Geometry.from_parts(array.shape, (1, 1, 4), direction=np.diag([1, 1, upwards]))
    labels = np.zeros(array.shape, np.uint8)
    labels[2:4, 2:4, [1, 6]] = 1
    structures = (Structure(1, "liver", (1, 2, 3)),)
    support = Support(Volume(array, grid, name="p"), LabelMap(labels, grid, structures))
    where = {"scan": "p", "labels": "labels", "slices": {"liver": [1, 6]}}
    assert support.describe() == where | {"sha256": support.sha256}


def test_structures_of_several_supports_are_joined_by_value():
    first, second = patient(0).labelled([6], values=(3,)), patient(1).labelled([6], values=(1, 3))
    assert [s.value for s in all_structures((first, second))] == [1, 3]


def test_one_value_cannot_have_two_names():
    first = patient(0).support
    named = LabelMap(first.labels.array, first.labels.geometry, (Structure(1, "heart", (1, 2, 3)),))
    with pytest.raises(InputError, match="label 1 is 'liver' in one support and 'heart'"):
        all_structures((first, Support(first.image, named)))


def test_one_name_cannot_have_two_values():
    """As two programs number the same structures: both would compete for the same pixels."""
    one, other = patient(0).support, patient(1).support
    liver = LabelMap(
        other.labels.array * 5, other.labels.geometry, (Structure(5, "liver", (1,) * 3),)
    )
    with pytest.raises(InputError, match="'liver' is label 1 and label 5"):
        all_structures((one, Support(other.image, liver)))
    twins = (Structure(1, "organ", (1, 2, 3)), Structure(2, "organ", (1, 2, 3)))
    labels = LabelMap(one.labels.array, one.labels.geometry, twins)
    with pytest.raises(InputError, match="each its own name"):
        all_structures([Support(one.image, labels)])


def test_labels_in_slices_along_several_axes_are_refused():
    scan = volume((12, 12, 12), (1.0, 1.0, 3.0))
    crossed = labelled(scan, (slice(2, 10), slice(2, 10), 6), (5, slice(2, 10), slice(2, 10)))
    with pytest.raises(InputError, match="along several axes"):
        Support(scan, crossed)
    assert Support(scan, crossed, axis=2).axis == 2
    tube = labelled(scan, (slice(5, 7), slice(5, 7), slice(2, 10)))
    assert Support(scan, tube).axis == 2


def test_a_scan_given_as_labels_is_refused():
    scan = volume((20, 20, 20))
    image = np.random.default_rng(1).integers(0, 999, scan.array.shape)
    with pytest.raises(InputError, match="--support and --labels were exchanged"):
        Support(scan, LabelMap(image, scan.geometry))
    with pytest.raises(InputError, match=r"Support\.load"):
        Support(scan.array, image)


def test_given_slices_along_any_axis_are_as_they_were_given():
    scan = volume()
    sagittal = Support(scan, labelled(scan, (3, BLOB, BLOB)), axis=0)
    found = np.ones(scan.array.shape, np.uint8)
    found[:, :2] = 2
    kept = with_given(found, [sagittal])
    expected = np.zeros((9, 10))
    expected[:2], expected[BLOB, BLOB] = 2, 1
    assert np.array_equal(kept[3], expected)
    others = [n for n in range(8) if n != 3]
    assert np.array_equal(kept[others], found[others])


def test_heights_and_radius_of_what_is_labelled():
    scan = volume((20, 20, 12), spacing=(0.5, 2.0, 5.0))
    small, large = (slice(4, 8), slice(5, 7), 3), (slice(4, 12), slice(5, 10), 8)
    support = Support(scan, labelled(scan, small, large), axis=2)
    (structure,) = support.structures
    assert support.heights(structure, support.directions).tolist() == [15.0, 40.0]
    turned = support.directions * [[-1], [1], [1]]
    assert support.heights(structure, turned).tolist() == [15.0, 40.0]  # 11 - 8 and 11 - 3
    assert np.isclose(np.pi * support.radius(structure) ** 2, 8 * 0.5 * 5 * 2.0)


def test_supports_of_one_scan_are_one(tmp_path):
    """However often it was read: the later labels lie on top, other scans and axes are apart."""
    one, other = patient(1), patient(2)
    again = write_volume(one.image, tmp_path / "again.nii.gz")
    labels = np.zeros_like(one.labels.array)
    labels[..., 4] = 9
    write_label_map(LabelMap(labels, one.image.geometry), tmp_path / "l.nii.gz")
    second = Support.load(again, tmp_path / "l.nii.gz", axis=2)
    along = Support.load(again, tmp_path / "l.nii.gz", axis=0)
    first = one.labelled([4, 7])
    found = by_scan([first, other.support, second, along])
    assert [each.image for each in found] == [one.image, other.image, one.image]
    assert found[1] is other.support and found[2].axis == 0
    assert (found[0].labels.array[..., 4] == 9).all()
    assert np.array_equal(found[0].labels.array[..., 7], first.labels.array[..., 7])
    assert [s.value for s in found[0].structures] == [1, 2, 3, 9]
    assert by_scan([first]) == (first,)


@pytest.mark.parametrize("other", [{6: slice(2, 12)}, {n: slice(2, 12) for n in range(16)}])
def test_one_slice_across_those_of_another_structure_is_refused(other):
    """Where few slices are crossed, and where all show something else."""
    array = np.zeros((16, 16, 16), np.uint8)
    for index, rows in other.items():
        array[2:14, rows, index] = 2
    array[5, 2:14, 5:9] = 1
    scan = Volume(np.arange(16.0**3).reshape(16, 16, 16), Geometry.from_parts((16, 16, 16)))
    with pytest.raises(InputError, match="along several axes"):
        Support(scan, LabelMap(array, scan.geometry))


def test_a_small_thin_structure_is_no_slice_across():
    array = np.zeros((16, 16, 16), np.uint8)
    array[2:14, 2:14, 5:9] = 2
    array[5, 4:9, 5:9] = 1
    scan = Volume(np.arange(16.0**3).reshape(16, 16, 16), Geometry.from_parts((16, 16, 16)))
    assert Support(scan, LabelMap(array, scan.geometry)).axis == 2


@pytest.mark.parametrize("upwards", [1.0, -1.0])
@pytest.mark.parametrize("axis", [0, 2])
def test_only_some_of_the_labelled_slices(axis, upwards):
    scan = volume()
    grid = Geometry.from_parts(scan.array.shape, direction=np.diag([upwards, 1, upwards]))
    scan = Volume(scan.array, grid)
    support = Support(scan, labelled(scan, (BLOB, BLOB, BLOB)), axis)
    some = support.only([3, 2])
    assert some.describe()["slices"] == {"label 1": [2, 3]}
    box = [BLOB, BLOB, BLOB]
    box[axis] = slice(2, 4)
    assert np.array_equal(some.labels.array, labelled(scan, tuple(box)).array)
    assert support.labels.array.sum() == 4**3 and some.axis == axis


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        ([3, 7], "nothing is labelled on slice 7; labelled are slices from 2 to 5, .* axis 2"),
        ([-1], "a slice is a whole number from 0 to 9, not -1"),
        ([10], "from 0 to 9, not 10"),
        ([2.5], "from 0 to 9, not 2.5"),
        ([], "no slice is labelled"),
    ],
)
def test_slices_that_are_not_labelled_are_refused(slices, message):
    scan = volume()
    with pytest.raises(InputError, match=message):
        Support(scan, labelled(scan, (BLOB, BLOB, BLOB))).only(slices)
