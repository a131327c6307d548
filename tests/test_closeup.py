from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from oneslice import Segmenter, Settings
from oneslice.choices import Modality
from oneslice.closeup import CloseUp, Region
from oneslice.geometry import Geometry, SliceView
from oneslice.segmenter import query_view
from oneslice.volume import LabelMap, Volume
from tests.cohort import SHORT, mean_dice, patient

MARGIN = 60  # voxels of nothing around a patient, on each side


def in_a_wide_field(one, right=0, down=0):
    """A patient's image and labels in a scan that shows much else, away from its middle."""

    def wide(array, value):
        i, j, k = array.shape
        whole = np.full((i + 2 * MARGIN, j + 2 * MARGIN, k), value, array.dtype)
        whole[MARGIN + right :, MARGIN + down :][:i, :j] = array
        return whole

    image = wide(one.image.array, one.image.array.min())
    image = image + np.random.default_rng(1).normal(0, 3, image.shape).astype(np.float32)
    geometry = Geometry.from_parts(image.shape, one.image.geometry.spacing)
    labels = LabelMap(wide(one.labels.array, 0), geometry, one.labels.structures)
    return replace(one, image=Volume(image, geometry, name=one.image.name), labels=labels)


@pytest.fixture(scope="module")
def labelled():
    return in_a_wide_field(patient(1), right=20)


@pytest.fixture(scope="module")
def other():
    return in_a_wide_field(patient(2, SHORT), right=-25, down=15)


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
    results = {}
    for closeup in (False, True):
        segmenter = Segmenter("mini", "cpu", Settings(closeup=closeup, effort="fast"))
        results[closeup] = segmenter.segment(other.image, labelled.support)
    truth = other.labels.array
    assert "region" in results[True].record and "region" not in results[False].record
    assert results[True].geometry.difference(other.image.geometry) is None
    assert mean_dice(results[True].array, truth) > mean_dice(results[False].array, truth) + 0.02


grids = st.tuples(st.integers(3, 9), st.integers(3, 9), st.integers(1, 4))


@hypothesis_settings(max_examples=60, deadline=None)
@given(grids, st.permutations([0, 1, 2]), st.tuples(*[st.booleans()] * 3), st.data())
def test_a_part_keeps_its_place_and_its_voxels(shape, axes, flips, data):
    array = np.arange(np.prod(shape)).reshape(shape).transpose(np.argsort(axes))
    view = SliceView(tuple(axes), flips)
    volume = Volume(array, Geometry.from_parts(array.shape, (1, 2, 3), (5, -7, 11)))
    side = data.draw(st.floats(4, 30))
    rows_columns = volume.geometry.shape[axes[1]], volume.geometry.shape[axes[2]]
    centre = np.array([data.draw(st.floats(-2, n + 2)) for n in rows_columns])
    region = Region.around(volume, view, centre, side)
    part = region.cut(volume)
    assert part.array.shape == part.geometry.shape
    corner = np.argwhere(array == part.array[0, 0, 0])[0]
    assert np.allclose(part.geometry.to_world([0, 0, 0]), volume.geometry.to_world(corner))
    back = region.paste(part.array, array.shape)
    assert ((back == array) | (back == 0)).all() and back.max() == part.array.max()
    assert part.geometry.shape[axes[0]] == array.shape[axes[0]]


def test_a_part_is_read_in_the_order_of_its_slices():
    """Row 2 of slices that are read backwards is the last but two of the array."""
    array = np.arange(8 * 8 * 2).reshape(8, 8, 2)
    volume = Volume(array, Geometry.from_parts(array.shape))
    view = SliceView((2, 0, 1), (False, True, False))
    region = Region.around(volume, view, np.array([2.0, 4.0]), 4.0)
    assert (region.box[0], region.box[1]) == (slice(4, 8), slice(2, 6))


def test_a_part_of_a_ct_is_shown_as_the_ct():
    """Where the part holds no air, its own intensities do not tell that it is one."""
    array = np.full((10, 10, 2), -1000.0)
    array[3:7, 3:7] = np.arange(32).reshape(4, 4, 2)
    region = Region((slice(3, 7), slice(3, 7), slice(None)))
    assert region.cut(Volume(array, Geometry.from_parts(array.shape))).modality is Modality.CT
