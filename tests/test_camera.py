import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oneslice.camera import Camera
from oneslice.sam2.state import ABSENT
from tests.phantoms import disc, frames, moving, picture

PART = 48  # mm and pixels of a slice


@pytest.fixture(scope="module")
def slices():
    return frames(moving(3)[0], size=96)


def box(top, left, height, width, size=128):
    mask = torch.zeros(1, size, size)
    mask[:, top : top + height, left : left + width] = 1
    return mask


@given(st.integers(0, 117), st.integers(0, 107))
def test_what_is_aimed_at_is_seen_and_comes_back_in_its_place(slices, top, left):
    camera, mask = Camera(slices, PART), box(top, left, 11, 21)
    seen = camera.aim(1, mask)
    assert seen.shape == (1, 96, 96) and camera[1].shape == (1, 96, 96)
    assert float(seen.sum()) == pytest.approx(float(mask.sum()) * 4, rel=0.01)  # twice as large
    back = camera.restore(1, 20 * seen - 10)
    assert torch.equal(back > 0, mask > 0)
    assert (back == ABSENT).sum() == 128**2 - PART**2


def test_the_part_that_is_shown_is_enlarged(slices):
    camera, (images, masks) = Camera(slices, PART), moving(3)
    camera.aim(0, masks[0][None])
    rows = slice(51 - 24, 51 + 24)  # the disc's middle is at 0.4 and 0.3 of 128
    part = images[0][:, rows, 38 - 24 : 38 + 24]
    small = torch.nn.functional.avg_pool2d(camera[0], 2)
    assert (small - part).abs().mean() < 0.02
    assert camera.letterbox.side == PART and camera.step == pytest.approx(4 * 96 / PART)


def test_it_stays_until_what_is_followed_comes_to_the_edge(slices):
    camera = Camera(slices, PART)
    camera.aim(0, box(40, 40, 16, 16))  # shows 24 to 72
    for inside in (box(32, 34, 8, 8), box(54, 56, 8, 8)):
        camera.follow(1, 0, camera.letterbox.fit_mask(inside[:, 24:72, 24:72]))
        assert np.array_equal(camera._corners[1], (24, 24))
    right = box(40, 60, 8, 8)[:, 24:72, 24:72]  # 4 to the edge, of 7 that there should be
    camera.follow(1, 0, camera.letterbox.fit_mask(right))
    assert camera._corners[1].tolist() == [24, 27]
    camera.follow(2, 1, camera.letterbox.fit_mask(right))
    assert camera._corners[2].tolist() == [24, 30]
    camera.follow(1, 0, torch.ones(1, 96, 96))
    assert camera._corners[1].tolist() == [24, 24]


def test_nothing_beyond_the_slice_is_shown_and_a_whole_slice_stays(slices):
    camera = Camera(slices, PART)
    camera.aim(0, box(0, 120, 8, 8))
    assert camera._corners[0].tolist() == [0, 80]
    whole = Camera(slices, 500)
    whole.aim(0, box(0, 120, 8, 8))
    whole.follow(1, 0, box(0, 88, 8, 8, size=96))
    assert torch.equal(whole[0], slices[0]) and torch.equal(whole[1], slices[1])


def test_it_is_full_when_what_is_followed_needs_more_room(slices):
    half, most = box(10, 10, 50, 20, size=96), box(10, 10, 75, 20, size=96)
    camera = Camera(slices, PART)
    assert not camera.is_full(half) and camera.is_full(most)
    assert not Camera(slices, 500).is_full(most)  # there is no more


def test_a_flat_slice_is_shown_from_end_to_end_where_it_has_less():
    flat = frames([picture(disc(0.5, 0.5, 0.1))[:, 40:80]], size=96)
    camera = Camera(flat, 64)
    assert (camera.letterbox.rows, camera.letterbox.columns) == (40, 64)
    assert not camera.is_full(box(16, 0, 60, 20, size=96)) and camera.is_full(
        box(16, 0, 60, 80, size=96)
    )
