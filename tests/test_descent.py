import torch

from oneslice.descent import descend_affine, descend_displacement
from oneslice.mind import describe
from oneslice.transform import Transform, affine_grid, sample
from tests.phantoms import disc, picture

SIDE = 64


def described(*discs):
    return describe(picture(*discs, size=SIDE)[None])


def ball(x, y):
    return disc(x, y, 0.12, SIDE)


def moved_apart():
    """Two discs, and both farther from each other."""
    near, far = ((ball(0.5 - x, 0.5), ball(0.5 + x, 0.5)) for x in (0.2, 0.25))
    return described(*near), described(*far)


def test_a_shift_and_a_turn_are_found():
    moving = picture(ball(0.35, 0.4), ball(0.65, 0.55), size=SIDE)[None]
    true = torch.tensor([[0.06, -0.05, 0.08, 0.0, 0.0, 0.0]])
    fixed = sample(moving, affine_grid(true, SIDE))
    found = descend_affine(describe(fixed), describe(moving), torch.zeros(1, 6))
    apart = affine_grid(found, SIDE) - affine_grid(true, SIDE)
    before = affine_grid(torch.zeros(1, 6), SIDE) - affine_grid(true, SIDE)
    assert apart.abs().mean() < 0.4 * before.abs().mean()


def test_a_displacement_heeds_only_what_counts():
    """Around each disc the one that counts is followed."""
    fixed, moving = moved_apart()
    start = Transform.affine_only(torch.zeros(1, 6))
    for x, way in ((0.3, -1), (0.7, 1)):
        weight = disc(x, 0.5, 0.2, SIDE)[None, None]
        found = descend_displacement(fixed, moving, start, weight, 20, 0.014)
        moved = found.grid(SIDE)[0] - start.grid(SIDE)[0]
        inside = ball(x, 0.5) > 0
        assert 0.03 < way * moved[..., 0][inside].mean() < 0.13  # truly 0.1
        assert moved[..., 1][inside].abs().mean() < 0.03


def test_what_hardly_counts_is_not_followed():
    fixed, moving = moved_apart()
    start = Transform.affine_only(torch.zeros(1, 6))
    weight = disc(0.3, 0.5, 0.2, SIDE) + 0.002 * disc(0.7, 0.5, 0.2, SIDE)
    found = descend_displacement(fixed, moving, start, weight[None, None], 20, 0.014)
    moved = (found.grid(SIDE)[0] - start.grid(SIDE)[0])[..., 0]
    assert moved[ball(0.3, 0.5) > 0].mean() < -0.03
    assert moved[ball(0.7, 0.5) > 0].mean() < 0.03  # 0.1 if it counted
