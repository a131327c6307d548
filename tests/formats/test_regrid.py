"""Label maps are put onto their scan's grid, or refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneslice.errors import InputError
from oneslice.formats import place_on_grid
from oneslice.geometry import Geometry
from oneslice.volume import LabelMap
from tests.formats.grids import geometries


@st.composite
def stored_otherwise(draw):
    """A label map, and the same one cropped, with axes permuted and flipped."""
    grid = draw(geometries())
    array = np.zeros(grid.shape, np.uint8)
    low = np.array([draw(st.integers(0, n - 1)) for n in grid.shape])
    high = np.array([draw(st.integers(a, n - 1)) for a, n in zip(low, grid.shape, strict=True)])
    box = tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))
    array[box] = np.arange(1, 1 + np.prod(high - low + 1)).reshape(high - low + 1) % 250 + 1
    axes = draw(st.permutations([0, 1, 2]))
    flips = [a for a in range(3) if draw(st.booleans())]
    stored = np.flip(array[box], flips).transpose(axes)
    to_grid = np.eye(4)
    to_grid[:3, 3] = low
    for a in flips:
        to_grid[a, a], to_grid[a, 3] = -1, high[a]
    to_grid = to_grid[:, [*axes, 3]]
    return LabelMap(array, grid), LabelMap(stored, Geometry(stored.shape, grid.affine @ to_grid))


@settings(max_examples=200, deadline=None)
@given(stored_otherwise())
def test_another_order_and_a_part(labels):
    expected, stored = labels
    placed = place_on_grid(stored, expected.geometry)
    assert np.array_equal(placed.array, expected.array)
    assert placed.geometry is expected.geometry
    assert placed.structures == stored.structures


CUBE = Geometry((4, 4, 4), np.eye(4))


def _with(**changes):
    parts = {"shape": (4, 4, 4), "spacing": (1, 1, 1), "origin": (0, 0, 0), "direction": np.eye(3)}
    return Geometry.from_parts(**{**parts, **changes})


@pytest.mark.parametrize(
    "other",
    [
        _with(origin=(0.3, 0, 0)),
        _with(origin=(1, 0, 0)),
        _with(shape=(4, 4, 5)),
        _with(shape=(2, 4, 4), spacing=(2, 1, 1)),
        _with(spacing=(1.05, 1, 1)),
        _with(direction=np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])),
    ],
)
def test_other_grids_are_refused(other):
    labels = LabelMap(np.ones(other.shape, np.uint8), other, name="mine")
    with pytest.raises(InputError, match="mine: the label map lies on another grid"):
        place_on_grid(labels, CUBE)
