import torch

from oneslice.voting import vote


def test_where_all_fit_the_weights_decide():
    moved = torch.tensor([1.0, 0.0, 0.5])[:, None, None].expand(3, 8, 8)
    weights, structures = torch.tensor([0.75, 0.25, 0.2]), torch.tensor([1, 1, 0])
    found = vote(moved, torch.zeros(3, 2, 2), weights, structures, 2)
    assert torch.allclose(found[0], torch.full((8, 8), 0.5))
    assert torch.allclose(found[1], torch.full((8, 8), 0.75))


def test_each_has_its_say_where_it_fits():
    moved = torch.stack([torch.ones(32, 32), torch.zeros(32, 32)])
    misfit = torch.zeros(2, 8, 8)
    misfit[0, :, 4:], misfit[1, :, :4] = 1, 1
    found = vote(moved, misfit, torch.tensor([0.5, 0.5]), torch.tensor([0, 0]), 1)[0]
    assert (found[:, :14] > 0.99).all() and (found[:, 18:] < 0.01).all()
