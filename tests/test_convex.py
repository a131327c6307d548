import pytest
import torch
import torch.nn.functional as F

from oneslice.convex import search_displacement


def texture(seed=1):
    """Three channels of smooth noise (1, 3, 96, 96)."""
    noise = torch.randn(1, 3, 24, 24, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(noise, 96, mode="bicubic")


@pytest.mark.parametrize(("right", "down"), [(0, 0), (9, -6), (-12, 3)])
def test_a_shift_is_found_everywhere(right, down):
    """In units of half the side, x before y."""
    support = texture()
    query = support.roll((-down, -right), (2, 3))
    found = search_displacement(query, support)[0, :, 8:-8, 8:-8]
    expected = torch.tensor([right, down]) * 2 / 96
    assert torch.allclose(found, expected[:, None, None].expand_as(found))


def test_neighbours_agree_where_the_slices_say_nothing():
    """A flat middle moves with what surrounds it, not by itself."""
    support = texture(2)
    support[..., 40:56, 40:56] = 0
    query = support.roll((-6, -6), (2, 3))
    found = search_displacement(query, support)[0]
    assert (found[:, 10:20, 10:20] * 96 / 2 - 6).abs().max() < 1


def test_two_halves_may_move_apart():
    support, query = texture(3), texture(3)
    query[..., :48] = support[..., :48].roll(-9, 2)
    query[..., 48:] = support[..., 48:].roll(9, 2)
    down = search_displacement(query, support)[0, 1, 6:-6] * 96 / 2
    assert (down[:, 3:10] - 9).abs().max() < 2 and (down[:, 22:29] + 9).abs().max() < 2


def test_pairs_do_not_depend_on_each_other():
    queries = torch.cat([texture(4), texture(5)])
    supports = queries.roll(4, 3)
    together = search_displacement(queries, supports)
    assert torch.allclose(together[1:], search_displacement(queries[1:], supports[1:]))
