import pytest
import torch
import torch.nn.functional as F

from oneslice.crop import Crop
from oneslice.sam2.state import ABSENT

SIZE = 64


def square(top, left, side):
    mask = torch.zeros(SIZE, SIZE)
    mask[top : top + side, left : left + side] = 1
    return mask


@pytest.mark.parametrize("mask", [square(20, 30, 9), square(0, 60, 12), square(0, 0, 0)])
def test_what_is_positive_is_kept_with_a_little_around_it(mask):
    logits = 8 * mask - 4
    kept = Crop.of(logits)
    again = kept.restore()
    near = F.max_pool2d(mask[None], 9, 1, 4)[0] > 0
    assert torch.equal(again[near], logits[near]) and (again[~near] == ABSENT).all()
    assert kept.values.numel() == near.sum()
