"""Scans on all sorts of grids: stored in any order, tilted, coarse, of one slice."""

import numpy as np
import pytest

from oneslice import Support
from oneslice.arguments import query_view
from oneslice.geometry import Geometry
from oneslice.volume import LabelMap, Volume
from tests.cohort import (
    MIDDLE,
    SHORT,
    SPACING,
    STRUCTURES,
    mean_dice,
    patient,
    reoriented,
)
from tests.segmenters import with_settings


@pytest.mark.parametrize("strategy", ["pairwise", "sequence"])
@pytest.mark.parametrize(
    ("axes", "flips"),
    [
        ((0, 1, 2), (True, True, False)),  # RAS
        ((0, 1, 2), (False, False, True)),
        ((2, 0, 1), (False, True, True)),
        ((1, 2, 0), (True, False, True)),
    ],
)
def test_storage_order_of_the_query_does_not_matter(axes, flips, strategy):
    one, other = patient(1), patient(2, SHORT)
    segmenter = with_settings(strategy=strategy)
    expected = segmenter.segment(other.image, one.support)
    image, geometry, store = reoriented(other, axes, flips)
    found = segmenter.segment(image, one.support)
    assert found.geometry is geometry
    assert np.array_equal(found.array, store(expected.array))
    slices = expected.confidence[::-1] if flips[2] else expected.confidence
    assert np.array_equal(found.confidence, slices)
    assert found.slice_axis == axes.index(2) and expected.array.any()
    chosen = [entry["slice"] for entry in found.record["slices"]]
    assert chosen == list(range(SHORT[2]))


def test_storage_order_of_the_support_does_not_matter(segmenter):
    """Reading directions come from the support, so those of another stay radiological."""
    one, other = patient(1), patient(2, SHORT)
    expected = segmenter.segment(other.image, one.support)
    image, geometry, store = reoriented(one, (2, 1, 0), (True, True, True))
    labels = LabelMap(store(one.support.labels.array), geometry, STRUCTURES)
    support = Support(image, labels)
    assert support.axis == 0
    assert np.array_equal(segmenter.segment(other.image, support).array, expected.array)


def test_the_result_lies_on_the_scan_s_grid(segmenter):
    query = patient(2, SHORT).image
    found = segmenter.segment(query, patient(1).support)
    assert found.geometry is query.geometry and found.array.shape == query.array.shape
    assert found.structures == STRUCTURES
    assert found.confidence.shape == (4, 3)
    assert found.confidence.min() >= 0 and found.confidence.max() <= 1


def test_a_query_with_fewer_slices_and_another_matrix(segmenter):
    one, query = patient(1), patient(2, shape=(64, 100, 3))
    found = segmenter.segment(query.image, one.support)
    assert found.array.shape == (64, 100, 3) and found.confidence.shape == (3, 3)
    assert mean_dice(found.array, query.labels.array) > 0.3


@pytest.mark.parametrize("strategy", ["pairwise", "sequence"])
def test_a_query_of_one_slice(strategy):
    whole, one = patient(2), patient(1)
    grid = Geometry.from_parts((88, 80, 1), SPACING)
    picture = Volume(whole.image.array[..., MIDDLE:][..., :1], grid)
    found = with_settings(strategy=strategy).segment(picture, one.support)
    assert found.slice_axis == 2
    truth = whole.labels.array[..., MIDDLE:][..., :1]
    assert mean_dice(found.array, truth) > 0.4


def test_a_picture_of_long_pixels_is_still_one_slice(segmenter):
    grid = Geometry.from_parts((44, 80, 1), (6.0, 3.0, 1.0))
    picture = Volume(patient(2).image.array[::2, :, MIDDLE:][..., :1], grid)
    found = segmenter.segment(picture, patient(1).support)
    assert found.slice_axis == 2 and found.confidence.shape == (1, 3) and (found.array == 1).any()


def test_a_labelled_coronal_slice_cuts_the_query_likewise(segmenter):
    one, other = patient(1, (40, 30, 12)), patient(2)
    labels = np.zeros_like(one.labels.array)
    labels[:, 20] = one.labels.array[:, 20]
    support = Support(one.image, LabelMap(labels, one.image.geometry, STRUCTURES))
    image, *_ = reoriented(other, (1, 2, 0), (False, True, False))
    assert support.axis == 1
    assert query_view(other.image, support, None).axes[0] == 1
    assert query_view(image, support, None).axes[0] == 0
    assert query_view(image, support, 2).axes[0] == 2
    found = segmenter.segment(one.image, support)
    assert labels.any() and np.array_equal(found.array[:, 20], labels[:, 20])


def test_an_oblique_scan_is_read_along_its_own_labelled_axis(segmenter):
    turn = np.radians(35)
    direction = np.array(
        [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
    )
    one = patient(1, (30, 40, 12))
    grid = Geometry.from_parts(one.image.array.shape, SPACING, direction=direction)
    scan = Volume(one.image.array, grid)
    labels = np.zeros_like(one.labels.array)
    labels[9] = one.labels.array[9]
    found = segmenter.segment(scan, Support(scan, LabelMap(labels, grid)))
    assert found.slice_axis == 0
    assert labels.any() and np.array_equal(found.array[9], labels[9])


def test_slices_along_another_axis_are_not_taken_as_given(segmenter):
    one = patient(1, (30, 40, 12))
    found = segmenter.segment(one.image, one.support, axis=0)
    assert found.slice_axis == 0 and not any(e.get("given") for e in found.record["slices"])


@pytest.mark.parametrize("across_first", [False, True])
def test_given_slices_along_two_axes_are_both_kept(segmenter, across_first):
    one = patient(0)
    coronal = np.zeros_like(one.labels.array)
    coronal[:, 40] = one.labels.array[:, 40]
    across = Support(one.image, LabelMap(coronal, one.image.geometry, STRUCTURES), axis=1)
    both = (across, one.support) if across_first else (one.support, across)
    found = segmenter.segment(one.image, both).array
    assert np.array_equal(found[:, 40], one.labels.array[:, 40])
    same = found[..., MIDDLE] == one.labels.array[..., MIDDLE]
    assert np.delete(same, 40, 1).all()
