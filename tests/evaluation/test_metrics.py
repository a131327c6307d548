import numpy as np
import pytest

from oneslice.errors import InputError
from oneslice.evaluation.metrics import Presence, compare

UNIT = (1.0, 1.0, 1.0)


def cube(start, size=6, side=24):
    mask = np.zeros((side, side, side), bool)
    mask[tuple(slice(s, s + size) for s in start)] = True
    return mask


def sphere(radius, spacing, side_mm=60):
    axes = [np.arange(0, side_mm, mm) - side_mm / 2 for mm in spacing]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    return x**2 + y**2 + z**2 <= radius**2


def test_identical_masks_agree_fully():
    found = compare(cube((4, 4, 4)), cube((4, 4, 4)), UNIT)
    assert (found.dice, found.hd95, found.assd, found.nsd) == (1, 0, 0, 1)
    assert found.presence is Presence.BOTH
    assert found.volume_difference_ml == found.volume_difference_percent == 0


def test_shifted_cubes():
    """Two voxels of six along the first axis: 4/6 overlap; faces 2 apart, side faces touch."""
    found = compare(cube((4, 4, 4)), cube((6, 4, 4)), UNIT)
    assert found.dice == pytest.approx(4 / 6)
    assert found.hd95 == pytest.approx(2)
    assert 0 < found.assd < 1


def test_distances_are_in_millimetres():
    shifted = compare(cube((4, 4, 4)), cube((6, 4, 4)), (5.0, 1.0, 1.0))
    assert shifted.hd95 == pytest.approx(10)
    across = compare(cube((4, 4, 4)), cube((4, 6, 4)), (5.0, 1.0, 1.0))
    assert across.hd95 == pytest.approx(2)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.25, 1.25, 5.0)])
def test_concentric_spheres(spacing):
    """Radii 20 and 16 mm: every surface point is 4 mm from the other, up to the voxel's size."""
    found = compare(sphere(16, spacing), sphere(20, spacing), spacing, tolerance=2)
    coarse = max(spacing)
    assert found.assd == pytest.approx(4, abs=0.4 * coarse)
    assert found.hd95 == pytest.approx(4, abs=coarse)
    assert found.nsd < 0.15 * coarse
    assert found.volume_difference_percent == pytest.approx(100 * ((16 / 20) ** 3 - 1), abs=2)
    assert compare(sphere(16, spacing), sphere(20, spacing), spacing, tolerance=8).nsd == 1


def test_volume_in_millilitres():
    found = compare(cube((0, 0, 0), 10), cube((0, 0, 0), 10), (1.0, 2.0, 5.0))
    assert found.volume_ml == pytest.approx(10)


def test_a_structure_at_the_border_has_a_surface_there():
    found = compare(cube((0, 0, 0), 24), cube((1, 0, 0), 23), UNIT)
    assert 0 < found.assd < 1


def test_distances_are_the_same_either_way():
    """A far piece in one of them is far from the other, whichever is the prediction."""
    plain = cube((4, 4, 4))
    more = plain.copy()
    more[0:2, 0:2, 0:2] = True
    one, other = compare(plain, more, UNIT), compare(more, plain, UNIT)
    assert one.assd == pytest.approx(other.assd) and one.hd95 == pytest.approx(other.hd95)
    assert one.assd > 0.1 and one.nsd == pytest.approx(other.nsd)


def test_one_slice():
    found = compare(cube((4, 4, 4))[:, :, 5:6], cube((5, 4, 4))[:, :, 5:6], (1.0, 1.0, 8.0))
    assert found.dice == pytest.approx(5 / 6)
    assert found.hd95 == pytest.approx(1)


@pytest.mark.parametrize(
    ("predicted", "expected", "presence", "score", "percent"),
    [
        (False, False, Presence.ABSENT, None, None),
        (False, True, Presence.MISSED, 0.0, -100.0),
        (True, False, Presence.SPURIOUS, 0.0, None),
    ],
)
def test_empty_masks_follow_the_rule(predicted, expected, presence, score, percent):
    full = cube((4, 4, 4))
    found = compare(full & predicted, full & expected, UNIT)
    assert found.presence is presence
    assert found.dice == found.nsd == score
    assert found.hd95 is found.assd is None
    assert found.volume_difference_percent == pytest.approx(percent)


def test_refuses_other_shapes():
    with pytest.raises(InputError, match="shapes"):
        compare(np.ones((2, 2, 2)), np.ones((2, 2, 3)), UNIT)


@pytest.mark.parametrize("tolerance", [0, -1, np.inf, np.nan])
def test_refuses_a_tolerance_that_is_none(tolerance):
    with pytest.raises(InputError, match="positive and finite"):
        compare(cube((1, 1, 1)), cube((1, 1, 1)), UNIT, tolerance)
