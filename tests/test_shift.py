import pytest
import torch
import torch.nn.functional as F

from oneslice.shift import search_shift


def texture():
    """Blurred noise (9, 96, 96): one place alone fits."""
    noise = torch.rand(9, 1, 100, 100, generator=torch.Generator().manual_seed(1))
    blurred = F.avg_pool2d(noise, 5, 1)[:, 0]
    return blurred / blurred.std()


@pytest.mark.parametrize(("right", "down"), [(0, 0), (-11, 9), (4, -12), (12, 12)])
def test_a_structure_is_found_wherever_within_reach(right, down):
    query, weight = texture(), torch.zeros(1, 96, 96)
    weight[0, 40:60, 36:52] = 1
    support = query.roll((-down, -right), (1, 2))
    assert search_shift(query, support, weight).tolist() == [right, down]


def test_a_structure_at_the_edge_may_leave_the_slice():
    query, weight = texture(), torch.zeros(1, 96, 96)
    weight[0, :20, 80:] = 1
    support = query.roll((3, -5), (1, 2))
    weight[0, :3], weight[0, :, 91:] = 0, 0  # what was rolled in from the other side
    assert search_shift(query, support, weight).tolist() == [5, -3]


def test_where_all_shifts_fit_alike_the_structure_stays():
    weight = torch.zeros(1, 96, 96)
    weight[0, 40:60, 36:52] = 1
    plain = torch.full((9, 96, 96), 0.5)
    assert search_shift(plain, plain, weight).tolist() == [0, 0]
    assert search_shift(plain, plain, torch.zeros(1, 96, 96)).tolist() == [0, 0]
