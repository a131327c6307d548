import numpy as np
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from oneslice.choices import Modality
from oneslice.frames import Window
from oneslice.geometry import Geometry, SliceView
from oneslice.region import Region
from oneslice.volume import Volume

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


def test_a_part_may_leave_out_slices():
    array = np.arange(3 * 4 * 7).reshape(3, 4, 7)
    volume = Volume(array, Geometry.from_parts(array.shape, (1, 2, 3), (5, -7, 11)))
    part = Region((slice(None), slice(1, 3), slice(2, None, 2))).cut(volume)
    assert np.array_equal(part.array, array[:, 1:3, 2::2])
    assert np.allclose(part.geometry.spacing, (1, 2, 6))
    last = part.geometry.to_world([2, 1, 2])
    assert np.allclose(last, volume.geometry.to_world([2, 2, 6]))


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


def test_a_part_of_a_ct_stored_without_negative_numbers_is_shown_as_the_ct():
    """Most of the part is lung, which does not tell how the CT is stored."""
    rng = np.random.default_rng(1)
    hounsfield = np.full((40, 40, 4), -1024.0)
    hounsfield[4:36, 4:36] = rng.normal(20, 50, (32, 32, 4))
    hounsfield[12:28, 12:28] = rng.normal(-650, 40, (16, 16, 4))
    stored = (hounsfield + 1024).clip(0).astype(np.int16)
    whole = Volume(stored, Geometry.from_parts(stored.shape))
    part = Region((slice(12, 28), slice(12, 28), slice(None))).cut(whole)
    assert Window.of(part) == Window.of(whole)
    assert Window.of(whole).low > 800


def test_a_part_with_one_value_is_blank():
    array = np.zeros((6, 6, 2))
    array[:3, :3] = np.arange(18).reshape(3, 3, 2)
    volume = Volume(array, Geometry.from_parts(array.shape))
    assert Region((slice(3, 6), slice(None), slice(None))).is_blank(volume)
    assert not Region((slice(2, 6), slice(None), slice(None))).is_blank(volume)
