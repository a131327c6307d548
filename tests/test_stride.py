from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from oneslice import Segmenter, Settings, Support
from oneslice.geometry import Geometry, SliceView
from oneslice.segmentation import Segmentation
from oneslice.stride import Stride, interpolate
from oneslice.volume import LabelMap, Structure, Volume
from tests.cohort import SHAPE, Patient, dice, mean_dice, patient, reoriented

VIEW = SliceView((2, 0, 1))
PIXEL = np.array([1.0, 1.0])


def ball(radius, shape, spacing=(1.0, 1.0, 1.0)):
    """(I, J, K), 1 inside a ball in the middle."""
    axes = ((np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(shape, spacing, strict=True))
    squares = [axis**2 for axis in axes]
    distance = squares[0][:, None, None] + squares[1][:, None] + squares[2]
    return (distance < radius**2).astype(np.uint8)


def support(radius, value=1):
    """One slice of a structure labelled, in a scan with millimetres for voxels."""
    labels = np.zeros((64, 64, 5), np.uint8)
    labels[..., 2:3] = value * ball(radius, (64, 64, 1))
    grid = Geometry.from_parts(labels.shape)
    return Support(Volume(labels.astype(float), grid), LabelMap(labels, grid))


@pytest.mark.parametrize(
    ("slice_mm", "slices", "radius", "step"),
    [
        (1.0, 100, 20, 6),  # a sixty-fourth of 384 mm
        (2.0, 100, 20, 3),
        (8.0, 100, 20, 1),
        (1.0, 100, 3, 3),  # no farther apart than the radius of a small structure
        (1.0, 25, 20, 2),  # some slices are needed
        (1.0, 9, 20, 1),
    ],
)
def test_thin_slices_are_left_out(slice_mm, slices, radius, step):
    grid = Geometry.from_parts((256, 200, slices), (1.5, 1.5, slice_mm))
    tip, twin = support(2, value=2), support(25, value=2)
    assert Stride.over(grid, VIEW, [support(radius), tip, twin]).step == step


@pytest.mark.parametrize("slices", [60, 61, 62, 63])
def test_the_slices_looked_at_lie_in_the_middle_whatever_the_order_of_the_file(slices):
    grid = Geometry.from_parts((256, 256, slices), (1.5, 1.5, 1.5))
    views = VIEW, replace(VIEW, flips=(True, False, False))
    seen, backwards = (
        np.arange(slices)[Stride.over(grid, view, [support(20)]).region.box[2]] for view in views
    )
    assert np.array_equal(slices - 1 - backwards[::-1], seen)
    assert seen[1] - seen[0] == 4 and abs(seen[0] - (slices - 1 - seen[-1])) <= 1


def filled(truth, stride, spacing):
    """What is filled in where the truth was found on the slices looked at."""
    geometry = Geometry.from_parts(truth.shape, spacing)
    part = stride.region.cut(Volume(truth.astype(np.int16), geometry))
    labels = LabelMap(
        part.array.astype(np.uint8), part.geometry, (Structure(1, "ball", (200, 80, 60)),)
    )
    count = part.array.shape[stride.axis]
    certainty = np.linspace(0, 1, count)[:, None]
    record = {"slices": [{"slice": n, "found": n} for n in range(count)]}
    return stride.fill(Segmentation(labels, certainty, stride.axis, record), geometry)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_ball_is_filled_in(axis):
    shape, spacing = np.array([40, 44, 48]), np.array([1.0, 1.5, 2.0])
    truth = ball(18, shape, spacing)
    stride = Stride(axis, 1, 3)
    found = filled(truth, stride, tuple(spacing))
    assert dice(found.array, truth, 1) > 0.96
    assert found.geometry.shape == truth.shape and found.array.dtype == np.uint8
    seen = np.arange(1, shape[axis], 3)
    kept, true = (np.moveaxis(a, axis, 0)[seen] for a in (found.array, truth))
    assert np.array_equal(kept, true)
    entries = found.record["slices"]
    assert [entry["slice"] for entry in entries] == list(range(shape[axis]))
    assert [n for n, entry in enumerate(entries) if "found" in entry] == seen.tolist()
    assert sum(entry.get("interpolated", False) for entry in entries) == shape[axis] - len(seen)
    assert found.confidence.shape == (shape[axis], 1)
    assert found.confidence[0] == found.confidence[1] == found.confidence[2] == 0


def test_a_structure_on_one_of_two_slices_reaches_half_the_way():
    there, nothing = ball(5, (16, 16, 1))[..., 0], np.zeros((16, 16), np.uint8)
    for a, b in ((there, nothing), (nothing, there)):
        shown = interpolate(a, b, 3, PIXEL).any((1, 2))
        assert shown.tolist() == [a.any(), True, b.any()]
        shown = interpolate(a, b, 4, PIXEL).any((1, 2))
        assert shown.tolist() == [a.any(), a.any(), b.any(), b.any()]


def test_a_disc_that_moves_is_half_way_in_the_middle():
    disc = ball(6, (30, 30, 1))[..., 0]
    before, after = np.roll(disc, -4, 0), np.roll(disc, 4, 0)
    (middle,) = interpolate(before, after, 1, PIXEL)
    assert abs(np.argwhere(middle).mean(0) - np.argwhere(disc).mean(0)).max() < 0.1
    assert not interpolate(before, after, 0, PIXEL).size


slices = st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(1, 6)).map(
    lambda p: np.pad(np.full((p[2], p[2]), p[0], np.uint8), ((p[1], 11 - p[1] - p[2] + 3),) * 2)
)


@hypothesis_settings(max_examples=60, deadline=None)
@given(slices, slices, slices, slices, st.integers(1, 4))
def test_interpolation_has_no_direction_and_invents_nothing(a, b, c, d, count):
    one, other = np.where(a, a, b), np.where(c, c, d)
    found = interpolate(one, other, count, PIXEL)
    assert np.array_equal(interpolate(other, one, count, PIXEL)[::-1], found)
    assert set(np.unique(found)) <= set(np.unique(one)) | set(np.unique(other)) | {0}
    assert (interpolate(one, one, count, PIXEL) == one).all()


@cache
def thin():
    """A patient in slices of 2 mm: each slice of 8 mm four times."""
    one = patient(2, (*SHAPE[:2], 5))
    grid = Geometry.from_parts((*SHAPE[:2], 20), (3.0, 3.0, 2.0))
    image, labels = (np.repeat(a, 4, 2) for a in (one.image.array, one.labels.array))
    noise = np.random.default_rng(0).normal(0, 2, image.shape)
    labelled = LabelMap(labels, grid, one.labels.structures)
    return Patient(Volume(image + noise, grid), labelled)


def segmented(image, every_slice=False):
    settings = Settings(effort="fast", every_slice=every_slice)
    return Segmenter("mini", "cpu", settings).segment(image, patient(1).support)


def test_half_of_the_slices_tell_what_all_do():
    image, truth = thin().image, thin().labels.array
    some, every = segmented(image), segmented(image, every_slice=True)
    left_out = [entry for entry in some.record["slices"] if "interpolated" in entry]
    assert len(left_out) == 10
    assert not any("interpolated" in entry for entry in every.record["slices"])
    assert mean_dice(some.array, truth) > mean_dice(every.array, truth) - 0.03
    assert mean_dice(every.array, truth) > 0.6
    assert some.confidence.shape == every.confidence.shape and some.doubts


def test_storage_order_of_thin_slices_does_not_matter():
    stored, _, store = reoriented(thin(), (0, 1, 2), (False, False, True))
    assert np.array_equal(segmented(stored).array, store(segmented(thin().image).array))


def test_a_labelled_scan_is_looked_at_slice_by_slice():
    record = Segmenter("mini", "cpu").segment(thin().image, thin().labelled([10])).record
    assert not any("interpolated" in entry for entry in record["slices"])
