import torch

from oneslice.registration import LOST
from oneslice.trail import Step, Trail

SIZE, SLICES = 16, 12
FLAT = torch.full((SLICES, 1), 4)  # followed from slice 4


def step(agreement, seen=0.8):
    logits = torch.full((1, SIZE, SIZE), -5.0)
    logits[:, 4:9, 4:9] = 5.0
    one = torch.ones(1)
    return Step(logits, 0.9 * one, seen * one, agreement * one, 0.02 * one)


def trail(agreements):
    """Slices after the labelled one."""
    found = Trail(FLAT, torch.tensor([3.0]))
    for index, agreement in enumerate(agreements, 5):
        found.note(index, [0], step(agreement, seen=agreement))
    return found


def test_what_was_found_is_given_once():
    found = trail([0.9, 0.8])
    (logits,) = found.take(6).values()
    assert torch.equal(logits > 0, step(1).logits[0] > 0)
    assert not found.take(6) and not found.take(4) and found.take(5)
    assert found.cost[:, 0].tolist()[4:7] == [LOST, found.cost[5, 0], found.cost[6, 0]]


def test_a_structure_ends_and_what_lies_beyond_is_dropped():
    found = trail([0.9, 0.9, 0.85, 0.1, 0.1, 0.1])
    found.end()
    assert [index for index in range(SLICES) if found.take(index)] == [5, 6, 7]
    assert (found.odds[5:8] > 0).all() and (found.odds[8:11] < 0).all()
    assert (found.certainty[5:8] == 0.9).all() and (found.certainty[8:11] > 0.6).all()


def test_it_ends_sooner_beyond_slices_that_are_labelled_apart():
    ends = []
    for first in (4, 1):  # labelled on slice 4 alone, or on slice 1 as well
        found = Trail(torch.tensor([[first]] * 3 + [[4]] * 9), torch.tensor([3.0]))
        for index, agreement in enumerate([0.9, 0.85, 0.8, 0.35, 0.33, 0.3, 0.28], 5):
            found.note(index, [0], step(agreement, seen=0.8))
        found.end()
        ends.append(sum(bool(found.take(index)) for index in range(SLICES)))
    assert ends[1] < ends[0]


def test_a_gap_does_not_end_it():
    found = trail([0.9, 0.9, 0.3, 0.9, 0.9])
    found.end()
    assert all(found.take(index) for index in range(5, 10))


def test_it_is_over_only_when_all_evidence_says_so():
    agreements = [0.9, 0.9, 0.9, 0.05, 0.05, 0.05, 0.05]
    over = [bool(trail(agreements[:n]).is_over(4 + n, 0)) for n in range(1, 8)]
    assert over == [False] * 6 + [True]
    assert not trail(agreements).is_over(4, 0)  # the labelled slice itself


def test_slices_between_labelled_ones_are_never_beyond_an_end():
    between = Trail(torch.tensor([[2], [2], [2], [2], [6], [6], [6]]), torch.tensor([3.0]))
    for index in (3, 4, 5):
        between.note(index, [0], step(0.01, seen=0.01))
    between.end()
    assert all(between.take(index) for index in (3, 4, 5))
