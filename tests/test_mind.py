import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from oneslice.mind import blur, darker_share, describe, mind, within


def slices(count=2, size=24):
    smooth = ndimage.gaussian_filter(
        np.random.default_rng(3).random((count, size, size)), (0, 2, 2)
    )
    return torch.from_numpy(smooth / smooth.max()).float()[:, None]


@settings(max_examples=20, deadline=None)
@given(st.floats(0.3, 1), st.floats(0, 0.3))
def test_brightness_and_contrast_do_not_matter(contrast, brightness):
    """But for what is next to flat; other slices differ by a third."""
    images = slices() * 0.6
    other = contrast * images + brightness
    assert (describe(images) - describe(other)).abs().mean() < 0.01


def test_what_is_described_lies_between_0_and_1_and_each_slice_counts_alone():
    described = describe(slices(3))
    assert described.shape == (3, 9, 24, 24)
    assert described.min() >= 0 and described.max() <= 1
    assert torch.allclose(described[1:2], describe(slices(3)[1:2]), atol=1e-6)
    shares = described[:, 8].flatten(1)
    assert (shares.argsort(1) == slices(3).flatten(1).argsort(1)).all()


def test_pixels_count_by_their_brightness_and_equal_ones_share_the_mean():
    image = torch.zeros(1, 1, 8, 8)
    image[0, 0, 2, 3], image[0, 0, 5] = 0.5, 1
    shares = darker_share(image)[0, 0] * 8.5  # the sum of all
    assert (shares[image[0, 0] == 0] == 0).all()
    assert torch.isclose(shares[2, 3], torch.tensor(0.25))
    assert torch.allclose(shares[5], torch.tensor(4.5))


def test_black_around_a_body_changes_no_share():
    body = slices() - slices().amin((2, 3), keepdim=True)
    wide = darker_share(F.pad(body, (8, 0, 3, 20)))
    assert torch.allclose(wide[..., 3:-20, 8:], darker_share(body), atol=1e-5)
    assert (darker_share(torch.full((1, 1, 4, 4), 0.7)) == 0).all()


def test_turned_slices_are_described_by_turned_neighbours():
    """A quarter turn: the neighbour that was on the right is above."""
    images = slices(1)
    plain, turned = mind(images), mind(images.rot90(1, (2, 3))).rot90(-1, (2, 3))
    order = [1, 2, 3, 0, 5, 6, 7, 4]
    assert torch.allclose(turned, plain[:, order], atol=1e-5)


@pytest.mark.parametrize("sigma", [0.7, 1.0, 2.0])
def test_blur_is_a_gaussian(sigma):
    image = slices(1)
    expected = ndimage.gaussian_filter(
        image[0, 0].numpy(), sigma, mode="nearest", radius=round(3 * sigma)
    )
    assert np.allclose(blur(image, sigma)[0, 0], expected, atol=1e-5)


@given(st.integers(1, 5))
def test_within_is_a_square(distance):
    masks = torch.from_numpy(np.random.default_rng(1).random((2, 20, 17)) > 0.97)
    square = np.ones((1, 2 * distance + 1, 2 * distance + 1))
    assert np.array_equal(within(masks, distance), ndimage.binary_dilation(masks, square))
