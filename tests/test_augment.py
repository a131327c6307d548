import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oneslice.augment import (
    AugmentationParameters,
    AugmentationPolicy,
    affine_matrices,
    augment,
    draw,
    jitter,
    move_masks,
    warp,
)
from oneslice.errors import InputError

SIZE = 96
SPATIAL = ("rotation", "scale", "shear", "translation_x", "translation_y")
COLOUR = ("brightness", "contrast", "saturation", "hue")
place = st.floats(-0.35, 0.35)


def drawn(count, seed=0, policy=None):
    return draw(count, policy or AugmentationPolicy(), torch.Generator().manual_seed(seed))


def policy_of(strength):
    """The default policy with every range multiplied."""
    return AugmentationPolicy(**{n: strength * r for n, r in vars(AugmentationPolicy()).items()})


def only(names, count=8, value=None):
    """Random parameters of which only ``names`` are not zero."""
    drawing = drawn(count + 1, 3).select(torch.arange(1, count + 1))
    zero = torch.zeros(count)
    chosen = {name: getattr(drawing, name) if name in names else zero for name in SPATIAL + COLOUR}
    if value is not None:
        chosen |= {name: torch.full((count,), value) for name in names}
    return AugmentationParameters(**chosen)


def pixel_grid():
    """Frame coordinates (x, y) of the pixels' centres."""
    centres = (2 * torch.arange(SIZE) + 1) / SIZE - 1
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    return x, y


def centre_of(image):
    x, y = pixel_grid()
    return torch.stack([(x * image).sum(), (y * image).sum()]) / image.sum()


@settings(max_examples=40, deadline=None)
@given(place, place, st.integers(0, 999))
def test_image_and_mask_go_where_the_matrix_says(px, py, seed):
    x, y = pixel_grid()
    square = (x - px) ** 2 + (y - py) ** 2
    image, mask = torch.exp(-square / 0.004), (square < 0.012).float()
    parameters = drawn(2, seed).select(torch.tensor([1]))
    matrix = affine_matrices(parameters)[0]
    moved = warp(image[None, None], parameters)[0, 0]
    moved_mask = move_masks(mask[None, None], parameters)
    half_pixel = 1 / SIZE
    assert (
        centre_of(moved) - matrix @ torch.stack([*centre_of(image), torch.tensor(1.0)])
    ).abs().max() < half_pixel
    target = matrix @ torch.stack([*centre_of(mask), torch.tensor(1.0)])
    assert (centre_of(moved_mask[0, 0]) - target).abs().max() < half_pixel


def test_translation_is_a_fraction_of_the_side():
    image = torch.rand(1, 1, SIZE, SIZE)
    parameters = only(["translation_x"], count=1, value=0.25)
    assert torch.allclose(warp(image, parameters)[..., 24:], image[..., :-24], atol=1e-4)


def test_rotation_is_in_degrees():
    image = torch.rand(1, 1, SIZE, SIZE)
    turned = warp(image, only(["rotation"], count=1, value=90.0))
    assert torch.allclose(turned, image.rot90(-1, (2, 3)), atol=1e-3)


def test_zero_strength_is_the_identity():
    image, mask = torch.rand(3, 1, SIZE, SIZE), (torch.rand(3, 2, SIZE, SIZE) > 0.5).float()
    parameters = drawn(3, policy=policy_of(0))
    new_image, new_mask = augment(image, parameters), move_masks(mask, parameters)
    assert torch.allclose(new_image, image, atol=1e-4) and torch.equal(new_mask, mask)


def test_the_first_is_the_identity_and_the_others_are_not():
    image = torch.rand(1, 1, SIZE, SIZE).expand(4, -1, -1, -1)
    new_image = augment(image, drawn(4))
    difference = (new_image - image).abs().amax((1, 2, 3))
    assert difference[0] < 1e-4 and (difference[1:] > 0.1).all()


def test_a_seed_decides_everything():
    one, same, other = drawn(5, 1), drawn(5, 1), drawn(5, 2)
    for name in SPATIAL + COLOUR:
        assert torch.equal(getattr(one, name), getattr(same, name))
        assert not torch.equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("name", SPATIAL + COLOUR)
def test_ranges_are_respected_and_used(name):
    policy = AugmentationPolicy()
    limit = getattr(policy, name.removesuffix("_x").removesuffix("_y"))
    values = getattr(drawn(2000), name)
    assert values.abs().max() <= limit
    assert values.max() > 0.95 * limit and values.min() < -0.95 * limit
    assert getattr(drawn(2000, policy=policy_of(0.5)), name).abs().max() <= limit / 2


def test_hue_and_saturation_spare_gray():
    gray = torch.rand(8, 1, SIZE, SIZE).expand(-1, 3, -1, -1)
    assert torch.allclose(jitter(gray, only(["hue", "saturation"])), gray, atol=1e-5)
    colour = torch.rand(8, 3, SIZE, SIZE) * 0.5 + 0.25
    for name in ("hue", "saturation"):
        assert (jitter(colour, only([name])) - colour).abs().max() > 0.01


def test_one_and_three_gray_channels_agree():
    gray = torch.rand(8, 1, SIZE, SIZE)
    three = jitter(gray.expand(-1, 3, -1, -1), only(COLOUR))
    assert torch.allclose(three, jitter(gray, only(COLOUR)).expand(-1, 3, -1, -1), atol=1e-5)


def test_hue_turns_back():
    colour = torch.rand(8, 3, SIZE, SIZE) * 0.2 + 0.4
    there = jitter(colour, only(["hue"], value=0.1))
    assert torch.allclose(jitter(there, only(["hue"], value=-0.1)), colour, atol=1e-4)


def test_images_stay_in_range():
    strong = drawn(16, policy=policy_of(10))
    images = jitter(torch.rand(16, 3, 8, 8), strong)
    assert images.min() >= 0 and images.max() <= 1 and images.std() > 0


def test_colour_jitter_never_touches_the_mask():
    image, mask = torch.rand(8, 1, SIZE, SIZE), (torch.rand(8, 2, SIZE, SIZE) > 0.5).float()
    new_image, new_mask = augment(image, only(COLOUR)), move_masks(mask, only(COLOUR))
    assert torch.equal(new_mask, mask)
    assert not torch.allclose(new_image, image, atol=0.05)


def test_augmentations_do_not_depend_on_their_batch():
    image = torch.rand(1, 1, SIZE, SIZE).expand(6, -1, -1, -1)
    together = augment(image, drawn(6))
    for number in range(6):
        alone = drawn(6).select(torch.tensor([number]))
        assert torch.allclose(augment(image[:1], alone)[0], together[number])


def test_parameters_are_described():
    described = drawn(2).describe(1)
    assert set(described) == set(SPATIAL + COLOUR)
    assert described["rotation"] == pytest.approx(float(drawn(2).rotation[1]), abs=1e-3)


@pytest.mark.parametrize("bad", [float("nan"), -1, "15", None])
def test_a_policy_of_impossible_ranges_is_refused(bad):
    with pytest.raises(InputError, match="rotation is a finite number from 0 up"):
        AugmentationPolicy(rotation=bad)
