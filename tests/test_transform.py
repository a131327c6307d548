import math

import pytest
import torch
import torch.nn.functional as F

from oneslice.transform import Transform, affine_grid, displacement, sample, warp

NOTHING = torch.zeros(1, 6)


def dot(row, column, size=32):
    image = torch.zeros(1, 1, size, size)
    image[0, 0, row, column] = 1
    return image


def place(image):
    return divmod(int(image.flatten().argmax()), image.shape[-1])


def test_no_transform_leaves_everything_in_place():
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    grid = Transform.affine_only(NOTHING).grid(32)
    assert torch.allclose(warp(image, grid), image, atol=1e-5)
    assert torch.allclose(sample(image, grid), image, atol=1e-5)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ((0.25, 0, 0, 0, 0, 0), (10, 8)),  # looks a quarter of half the side to the right
        ((0, -0.25, 0, 0, 0, 0), (14, 12)),
        ((0, 0, math.pi / 2, 0, 0, 0), (19, 10)),
        ((0, 0, 0, math.log(2), math.log(2), 0), (13, 14)),  # twice as much is seen, half as large
    ],
    ids=["shift right", "shift up", "quarter turn", "zoom"],
)
def test_each_parameter_does_what_it_is_called(parameters, expected):
    moved = warp(dot(10, 12), affine_grid(torch.tensor([parameters]).float(), 32))
    assert max(abs(a - b) for a, b in zip(place(moved), expected, strict=True)) <= 1


def test_shear_moves_rows_sideways_in_proportion_to_their_height():
    grid = affine_grid(torch.tensor([[0, 0, 0, 0, 0, 0.5]]), 32)[0]
    straight = affine_grid(NOTHING, 32)[0]
    assert torch.allclose(grid[..., 1], straight[..., 1])
    assert torch.allclose(grid[..., 0] - straight[..., 0], 0.5 * straight[..., 1])


def test_a_displacement_on_top_of_an_affine_map_adds_to_it():
    nodes = torch.full((1, 2, 16, 16), 0.1)
    grid = Transform(torch.tensor([[0.2, 0, 0, 0, 0, 0]]), nodes).grid(32)
    expected = Transform.affine_only(torch.tensor([[0.3, 0.1, 0, 0, 0, 0]])).grid(32)
    assert torch.allclose(grid, expected, atol=1e-4)


def test_a_smooth_displacement_survives_its_nodes():
    """Of half the side, sampled on another grid than it was made from."""
    x = torch.linspace(-1, 1, 64)
    field = 0.1 * torch.stack([x.cos().expand(64, 64), x[:, None].sin().expand(64, 64)])[None]
    centres = (torch.arange(32) * 2 + 1.0)[None] / 32 - 1
    found = displacement(Transform.displaced(NOTHING, field).nodes, centres, centres)
    expected = F.interpolate(field, 32, mode="bilinear", align_corners=False)
    inner = slice(4, 28)
    assert torch.allclose(
        found[0, inner, inner], expected[0].permute(1, 2, 0)[inner, inner], atol=5e-3
    )


def test_selected_transforms_are_those_of_their_numbers():
    many = Transform(torch.rand(3, 6), torch.rand(3, 2, 16, 16))
    chosen = many.select([2, 0, 2])
    assert torch.equal(chosen.affine, many.affine[[2, 0, 2]])
    assert torch.equal(chosen.grid(8)[1], many.grid(8)[0])


def test_outside_is_nothing_to_a_mask_and_the_edge_to_a_description():
    image = torch.ones(1, 1, 8, 8)
    beyond = affine_grid(torch.tensor([[4.0, 0, 0, 0, 0, 0]]), 8)
    assert warp(image, beyond).max() == 0 and sample(image, beyond).min() == 1
