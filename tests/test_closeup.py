import numpy as np
import pytest

from oneslice import Segmenter, Settings
from oneslice.arguments import query_view
from oneslice.closeup import CloseUp
from oneslice.registration import LOST
from tests.cohort import SHORT, in_a_wide_field, patient
from tests.segmenters import assert_a_part_shows_more

AROUND = 60.0  # intensity of what surrounds the patients, below that of their bodies


@pytest.fixture(scope="module")
def labelled():
    return in_a_wide_field(patient(1), AROUND, right=20)


@pytest.fixture(scope="module")
def other():
    return in_a_wide_field(patient(2, SHORT), AROUND, right=-25, down=15)


def test_no_close_up_of_what_fills_the_slices():
    assert CloseUp.of([patient(1).support], Settings()) is None


def test_the_part_of_another_scan_shows_all_that_is_labelled_in_the_supports(labelled, other):
    support = labelled.support
    closeup = CloseUp.of([support], Settings())
    assert closeup is not None
    region = closeup.find(other.image, query_view(other.image, support, None))
    shown = region.cut(other.image).geometry
    assert np.prod(shown.shape) < 0.5 * np.prod(other.image.geometry.shape)
    assert (other.labels.array[region.box] != 0).sum() == (other.labels.array != 0).sum()
    own = closeup.supports[0]
    assert (own.labels.array != 0).sum() == (support.labels.array != 0).sum()
    i, j, _ = own.image.geometry.shape
    assert abs(i - j) <= 1 and own.image.geometry.shape[2] == support.image.geometry.shape[2]


def test_a_close_up_shows_more_detail_and_lies_in_its_place(labelled, other):
    assert_a_part_shows_more(labelled, other)


def test_nothing_is_cut_where_the_part_is_not_found(labelled, other, monkeypatch):
    """Supports are not cut then either: both are shown alike."""
    closeup = CloseUp.of([labelled.support], Settings())
    view = query_view(other.image, labelled.support, None)
    monkeypatch.setattr(CloseUp, "_place", lambda *_: (LOST, np.zeros(2)))
    assert closeup.find(other.image, view) is None
    segmenter = Segmenter("mini", "cpu", Settings(effort="fast"), image_size=128)
    found = segmenter.segment(other.image, labelled.support)
    assert "region" not in found.record
    prepared = segmenter._prepared[1].supports[0]
    assert prepared.image.geometry.shape == labelled.image.geometry.shape
