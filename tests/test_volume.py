import json

import numpy as np
import pytest

from oneslice.choices import Modality
from oneslice.errors import InputError
from oneslice.geometry import Geometry
from oneslice.volume import LabelMap, Structure, Volume, default_color

GRID = Geometry((2, 3, 4), np.diag([1, 1, 5, 1]))
ARRAY = np.arange(24).reshape(2, 3, 4)


def test_volume_carries_what_it_was_given():
    volume = Volume(ARRAY, GRID)
    assert volume.array is ARRAY
    assert volume.modality is None
    assert volume.through_plane_axis == 2
    assert Volume(ARRAY, GRID, slice_axis=0).through_plane_axis == 0


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (ARRAY[0], "array of shape"),
        (ARRAY.transpose(), "array of shape"),
        (ARRAY.astype(str), "not real numbers"),
        (ARRAY.astype(complex), "not real numbers"),
        (ARRAY.tolist(), "give a NumPy array"),
        (np.where(ARRAY == 3, -1e38, ARRAY), "wrong byte order"),
        (np.where(ARRAY == 3, np.nan, ARRAY), "NaN or infinite"),
        (np.where(ARRAY == 3, np.inf, ARRAY), "NaN or infinite"),
        (np.full((2, 3, 4), 7), "same value"),
    ],
)
def test_volumes_that_are_none(array, message):
    with pytest.raises(InputError, match=f"scan7: .*{message}"):
        Volume(array, GRID, name="scan7")


def test_words_are_taken_for_choices():
    assert Volume(ARRAY, GRID, modality="ct").modality is Modality.CT
    with pytest.raises(InputError, match="choose one of ct, mr, other"):
        Volume(ARRAY, GRID, modality="pet")
    with pytest.raises(InputError, match="slice_axis"):
        Volume(ARRAY, GRID, slice_axis=3)


@pytest.mark.parametrize("dtype", ["?", "i1", "u2", "i8", "f2", "f4", "f8"])
def test_number_types(dtype):
    array = (np.arange(24).reshape(2, 3, 4) % 2).astype(dtype)
    assert Volume(array, GRID).array.dtype == dtype
    assert LabelMap(array, GRID).array.dtype == np.uint8


@pytest.mark.parametrize(
    ("value", "message"),
    [(-1, "from 0 up"), (0.5, "whole numbers"), (np.nan, "whole numbers"), (65536, "above 65535")],
)
def test_labels_that_are_none(value, message):
    array = np.zeros((2, 3, 4))
    array[1, 1, 1] = value
    with pytest.raises(InputError, match=f"mine: .*{message}"):
        LabelMap(array, GRID, name="mine")


def test_smallest_label_type():
    array = np.zeros((2, 3, 4), np.float64)
    for top, dtype in ((0, np.uint8), (255, np.uint8), (256, np.uint16), (65535, np.uint16)):
        array[0, 0, 0] = top
        assert LabelMap(array, GRID).array.dtype == dtype


def test_structures_are_completed_and_sorted():
    array = np.zeros((2, 3, 4), int)
    array[0, 0, :3] = 5, 2, 9
    labels = LabelMap(array, GRID, (Structure(9, "b", (1, 2, 3)), Structure(7, "a", (4, 5, 6))))
    assert [(s.value, s.name) for s in labels.structures] == [
        (2, "label 2"),
        (5, "label 5"),
        (7, "a"),
        (9, "b"),
    ]


def test_renaming():
    array = np.zeros((2, 3, 4), int)
    array[0, 0, :2] = 1, 2
    labels = LabelMap(array, GRID, (Structure(1, "old", (1, 2, 3)),))
    named = labels.renamed({"liver": 1, "spleen": 2, "absent": 3})
    assert [s.name for s in named.structures] == ["liver", "spleen", "absent"]
    assert named.structures[0].color == (1, 2, 3)
    assert [s.name for s in labels.structures] == ["old", "label 2"]
    with pytest.raises(InputError, match="no name for label 2; add it to --names"):
        labels.renamed({"liver": 1})
    with pytest.raises(InputError, match="one label two names"):
        labels.renamed({"liver": 1, "spleen": 2, "lien": 2})


def test_background_is_no_structure():
    with pytest.raises(InputError, match="0 is background"):
        Structure(0, "background", (0, 0, 0))


def test_colours_differ():
    colors = [default_color(value) for value in range(1, 31)]
    assert len(set(colors)) == 30
    assert all(0 <= channel <= 255 for color in colors for channel in color)
    apart = np.abs(np.subtract(colors[0], colors[1:11])).sum(axis=1)
    assert apart.min() > 30


def test_numpy_s_numbers_become_python_s_own():
    """JSON, in which results are described, can hold no others."""
    color = tuple(np.array([1, 2, 255], np.uint8))
    liver = Structure(np.uint16(3), "liver", color)
    array = np.arange(8.0).reshape(2, 2, 2)
    volume = Volume(array, Geometry.from_parts(array.shape), slice_axis=np.int64(1))
    assert json.loads(json.dumps([liver.value, liver.color, volume.slice_axis])) == [
        3,
        [1, 2, 255],
        1,
    ]


@pytest.mark.parametrize("color", [(1, 2), (1, 2, 256), (0.5, 0.2, 1.0)])
def test_a_colour_is_three_whole_numbers(color):
    with pytest.raises(InputError, match="the colour of liver is"):
        Structure(3, "liver", color)
