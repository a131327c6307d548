"""Pictures and stacks of them."""

import numpy as np
import pytest
from PIL import Image

from oneslice.errors import InputError
from oneslice.formats import read_label_map, read_volume
from tests.formats.grids import ramp


@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF"])
def test_a_stack_in_the_order_of_its_numbers(tmp_path, suffix):
    array = ramp((7, 6, 12), np.uint16)
    for k in range(12):
        Image.fromarray(array[:, :, k].T.copy()).save(tmp_path / f"slice {k}{suffix}")
    (tmp_path / f".hidden{suffix}").write_text("")
    volume = read_volume(tmp_path)
    assert np.array_equal(volume.array, array)
    assert volume.geometry.spacing == (1, 1, 1)
    assert volume.slice_axis == 2
    assert volume.name == tmp_path.name


def test_pages_of_a_tiff(tmp_path):
    array = ramp((7, 6, 3), np.uint8)
    first, *others = [Image.fromarray(array[:, :, k].T.copy()) for k in range(3)]
    first.save(tmp_path / "a.tif", save_all=True, append_images=others)
    assert np.array_equal(read_volume(tmp_path / "a.tif").array, array)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, bool])
def test_number_types_of_tiff(tmp_path, dtype):
    array = ramp((7, 6), dtype)
    Image.fromarray(array.T.copy()).save(tmp_path / "a.tif")
    assert np.array_equal(read_volume(tmp_path / "a.tif").array[..., 0], array)


@pytest.mark.parametrize("mode", ["L", "P"])
def test_a_stack_of_labels(tmp_path, mode):
    array = ramp((4, 5, 3), np.uint8) % 3
    for k in range(3):
        picture = Image.fromarray(array[:, :, k].T.copy())
        if mode == "P":
            picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
        picture.save(tmp_path / f"{k}.png")
    labels = read_label_map(tmp_path)
    assert np.array_equal(labels.array, array)
    assert [s.value for s in labels.structures] == [1, 2]


def test_stacks_that_do_not_fit(tmp_path):
    Image.new("L", (5, 6)).save(tmp_path / "1.png")
    Image.new("L", (6, 5)).save(tmp_path / "2.png")
    with pytest.raises(InputError, match=r"different sizes \(5 x 6, 6 x 5\)"):
        read_volume(tmp_path)
    Image.new("L", (6, 5)).save(tmp_path / "3.tif")
    with pytest.raises(InputError, match="PNG and TIFF"):
        read_volume(tmp_path)


def test_a_broken_slice_is_named(tmp_path):
    Image.new("L", (5, 6)).save(tmp_path / "1.png")
    (tmp_path / "2.png").write_text("hello")
    with pytest.raises(InputError, match=r"2\.png: is not a PNG"):
        read_volume(tmp_path)
