import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from oneslice.alignment import Heights
from oneslice.geometry import Geometry
from oneslice.presence import stretches, unless_beyond
from oneslice.support import Support
from oneslice.volume import LabelMap, Volume
from tests.cohort import STRUCTURES, patient


def scan(slices, *places):
    """Log odds of structures on a scan's slices: 2 where they seem to be, -2 elsewhere."""
    odds = np.full((slices, len(places)), -2.0)
    for structure, place in enumerate(places):
        for first, end in place:
            odds[first:end, structure] = 2.0
    return odds


HEIGHTS = Heights(np.array([0.0, 20.0, 60.0]), np.array([30.0, 40.0, 80.0]), np.full(3, 10.0))


def test_structures_are_expected_where_the_others_say():
    """The third seems to be in two places, and longer in the wrong one."""
    odds = scan(40, [(10, 17)], [(14, 19)], [(1, 9), (22, 27)])
    beyond = HEIGHTS.beyond(odds, 5.0)
    assert not beyond[22:27, 2].any() and beyond[8, 2] > 5
    assert np.flatnonzero(stretches(odds)[:, 2])[0] == 1
    found = stretches(unless_beyond(odds, beyond))
    assert [np.flatnonzero(one)[[0, -1]].tolist() for one in found.T] == [
        [10, 16],
        [14, 18],
        [22, 26],
    ]


def test_distance_is_measured_in_radii():
    beyond = HEIGHTS.beyond(scan(40, [(10, 17)], [(14, 19)], [(22, 27)]), 5.0)
    assert np.allclose(beyond[9:18, 0], [0.5, 0, 0, 0, 0, 0, 0, 0, 0.5])
    assert np.allclose(np.diff(beyond[19:, 1]), 0.5)


@given(st.lists(st.floats(-3, 3), min_size=12, max_size=12), st.sampled_from([1.0, 2.0, 4.0, 8.0]))
def test_no_other_shift_fits_better(values, step):
    """By the plain definition."""
    odds = np.array(values).reshape(6, 2)
    heights = Heights(np.array([0.0, 7.0]), np.array([10.0, 11.0]), np.array([5.0, 2.0]))

    def worth(inside):
        slices = np.maximum(1, (heights.high - heights.low) / step)
        return ((np.clip(odds, -2, 2) * inside).sum(0) / slices).sum()

    shifts = np.arange(-11, 6 * step, step / 2)
    at = np.arange(6)[:, None] * step - shifts[:, None, None]
    best = max(worth(inside) for inside in (at >= heights.low) & (at <= heights.high))
    assert np.isclose(worth(heights.beyond(odds, step) == 0), best)


def test_a_structure_that_a_scan_does_not_label_is_left_to_others():
    one, other = patient(1).labelled([5, 6], (1, 2)), patient(1).labelled([6])
    heights = Heights.of([one], STRUCTURES, one.directions)
    assert np.isnan(heights.low).tolist() == [False, False, True]
    odds = np.zeros((12, 3))
    assert np.isnan(heights.beyond(odds, 8.0)[:, 2]).all()
    assert not np.isnan(Heights.of([one, other], STRUCTURES, one.directions).low).any()


def test_one_labelled_slice_stands_for_a_radius_on_either_side():
    support = patient(1).support
    heights = Heights.of([support], STRUCTURES, support.directions)
    at = support.heights(STRUCTURES[0], support.directions)
    assert np.allclose(heights.high - at, heights.radius) and np.allclose(
        at - heights.low, heights.radius
    )
    assert np.allclose(heights.radius, [support.radius(s) for s in STRUCTURES])


def test_all_supports_of_a_scan_count():
    one = patient(1)
    supports = [one.labelled([3]), one.labelled([9])]
    heights = Heights.of(supports, STRUCTURES, supports[0].directions)
    assert heights.low[0] <= 3 * 8.0 and heights.high[0] >= 9 * 8.0


def test_few_slices_of_a_long_thin_structure_are_not_its_ends():
    """A cord labelled on three slices far apart goes on beyond the outer two; a wide one ends."""
    grid = Geometry.from_parts((40, 40, 61), (1.0, 1.0, 2.0))
    labels = np.zeros(grid.shape, np.uint8)
    labels[5:8, 5:8, 10:51:20] = 1  # a gap of 40 mm, a radius of 1.7 mm
    labels[12:36, 12:36, 24:41:8] = 2  # a gap of 16 mm, a radius of 13.5 mm
    noise = np.random.default_rng(0).random(grid.shape)
    support = Support(Volume(noise, grid), LabelMap(labels, grid))
    heights = Heights.of([support], support.structures, support.directions)
    cord, wide = heights.radius
    further = np.array([40 - cord, 16 - wide]) / 3
    assert np.allclose(heights.low, np.array([20, 48]) - further)
    assert np.allclose(heights.high, np.array([100, 80]) + further)
