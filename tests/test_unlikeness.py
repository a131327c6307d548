import torch

from oneslice.unlikeness import Unlikeness, shares


def random(*shape, seed):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_value_and_gradient_are_those_of_autograd():
    fixed, moved = random(2, 9, 6, 5, seed=0), random(2, 9, 6, 5, seed=1).requires_grad_()
    weight = random(2, 1, 6, 5, seed=2)
    squared = (fixed - moved).pow(2).mean(1, keepdim=True)
    plain = ((weight * squared).sum((1, 2, 3)) / weight.sum((1, 2, 3))).sum()
    ours = Unlikeness.apply(fixed, moved, shares(weight, 9))
    assert torch.allclose(ours, plain)
    expected, found = (torch.autograd.grad(3 * each, moved)[0] for each in (plain, ours))
    assert torch.allclose(found, expected, atol=1e-6)


def test_without_weight_nothing_counts():
    assert (shares(torch.zeros(1, 1, 4, 4), 9) == 0).all()
