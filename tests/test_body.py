from dataclasses import replace

import numpy as np
import pytest

from oneslice import Settings
from oneslice.arguments import query_view
from oneslice.body import Body, body_region
from oneslice.closeup import CloseUp
from oneslice.frames import Window
from tests.cohort import SHORT, in_a_wide_field, patient
from tests.segmenters import assert_a_part_shows_more


@pytest.fixture(scope="module")
def labelled():
    return in_a_wide_field(patient(1), right=20)


@pytest.fixture(scope="module")
def other():
    return in_a_wide_field(patient(2, SHORT), right=-25, down=15)


def view_of(volume):
    return query_view(volume, patient(1).support, None)


def test_a_body_that_fills_the_slices_is_left_whole():
    image = patient(1).image
    assert body_region(image, view_of(image), Settings()) is None


def test_the_part_shows_the_body_and_little_else(labelled, other):
    body = Body.of([labelled.support], Settings())
    assert body is not None
    region = body.find(other.image, view_of(other.image))
    assert region is not None
    shown = other.image.geometry.part(region.box).shape
    assert np.prod(shown) < 1.3 * np.prod(patient(2, SHORT).image.geometry.shape)
    assert (other.labels.array[region.box] != 0).sum() == (other.labels.array != 0).sum()
    own = body.supports[0]
    assert own.image.geometry.shape[0] < 0.5 * labelled.image.geometry.shape[0]
    assert (own.labels.array != 0).sum() == (labelled.support.labels.array != 0).sum()


def test_a_thin_table_is_no_body(other):
    view, settings = view_of(other.image), Settings(window=Window(0, 250))
    array = other.image.array.copy()
    array[:, 5] = array[3] = array.max()
    with_table = replace(other.image, array=array)
    without = body_region(other.image, view, settings)
    assert without is not None and body_region(with_table, view, settings) == without


def test_what_is_labelled_outside_of_the_body_is_not_cut_off(labelled):
    array = labelled.support.labels.array.copy()
    array[:4, :4, 6] = 3
    outside = replace(labelled.support, labels=replace(labelled.support.labels, array=array))
    assert Body.of([outside], Settings()) is None


def test_labels_that_fill_the_body_are_not_looked_at_from_farther_away(labelled):
    assert CloseUp.of([labelled.support], Settings()) is None


def test_a_body_seen_alone_shows_more_detail_and_lies_in_its_place(labelled, other):
    assert_a_part_shows_more(labelled, other)
