import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oneslice.ordering import between, heard, weigh

ONE_SCAN = torch.zeros(3, dtype=torch.int)
CHEAP, DEAR = 0.05, 0.15


def costs(cheapest):
    """Three labelled slices; on query slice n number ``cheapest[n]`` costs least."""
    table = torch.full((len(cheapest), 3), DEAR)
    for n, labelled in enumerate(cheapest):
        if labelled is not None:
            table[n, labelled] = CHEAP
    return table


@given(st.lists(st.lists(st.floats(0, 9), min_size=3, max_size=3), min_size=1, max_size=8))
def test_each_slice_has_one_say_in_all(table):
    weights = weigh(torch.tensor(table), ONE_SCAN)
    assert (weights >= 0).all() and torch.allclose(weights.sum(1), torch.ones(len(table)))


def test_the_cheapest_has_the_most_say():
    assert weigh(costs([0, 0, 1, 1, 2]), ONE_SCAN).argmax(1).tolist() == [0, 0, 1, 1, 2]


def test_a_doubtful_slice_is_decided_by_the_order_of_the_others():
    lone = weigh(costs([None]), ONE_SCAN)
    assert torch.allclose(lone, torch.full((1, 3), 1 / 3))
    told = weigh(costs([0, 0, 0, None, 1, 2]), ONE_SCAN)[3]
    assert told[2] < 0.25 < told[:2].min()


def test_against_all_possible_orders():
    """By the plain definition: every sequence that never goes back, with its probability."""
    table = torch.rand(4, 3, generator=torch.Generator().manual_seed(0)) * 0.2
    total = torch.zeros(4, 3)
    for a in range(3):
        for b in range(a, 3):
            for c in range(b, 3):
                for d in range(c, 3):
                    path = [a, b, c, d]
                    cost = sum(table[n, labelled] for n, labelled in enumerate(path))
                    for n, labelled in enumerate(path):
                        total[n, labelled] += torch.exp(-12 * cost)
    order = total / total.sum(1, keepdim=True)
    expected = torch.exp(-40 * table) * order.sqrt()
    expected = expected / expected.sum(1, keepdim=True)
    assert torch.allclose(weigh(table, ONE_SCAN), expected, atol=1e-5)


def test_the_order_holds_within_a_scan_only():
    table = costs([2, 2, 0, 0])
    one, two = weigh(table, ONE_SCAN), weigh(table, torch.tensor([1, 1, 0]))
    assert two[0, 2] > one[0, 2] and two[3, 0] > one[3, 0]


def test_what_was_not_registered_has_no_say():
    table = costs([0, 1, 2])
    table[0, 1] = table[1, 0] = table[2, :2] = torch.inf
    weights = weigh(table, ONE_SCAN)
    assert weights[0, 1] == weights[1, 0] == 0 and weights[2].tolist() == [0, 0, 1]
    assert torch.allclose(weights.sum(1), torch.ones(3))


@pytest.mark.parametrize("labelled", [1, 5])
def test_any_number_of_labelled_slices(labelled):
    weights = weigh(torch.zeros(4, labelled), torch.zeros(labelled))
    assert weights.shape == (4, labelled) and torch.allclose(weights.sum(1), torch.ones(4))


def test_what_lies_between_two_heard_slices_of_a_scan_is_tried_too():
    speaking = torch.tensor([[1, 0, 0, 1, 0, 1, 0], [0, 1, 0, 0, 0, 0, 0]]).T.bool()
    scans = torch.tensor([0, 0, 0, 0, 1, 1, 1])
    assert between(speaking, scans).T.int().tolist() == [
        [1, 1, 1, 1, 0, 1, 0],
        [0, 1, 0, 0, 0, 0, 0],
    ]


def test_of_many_slices_that_say_as_much_none_is_lost():
    assert heard(torch.full((24, 2), 1 / 24)).all()
    assert heard(torch.tensor([[0.8], [0.15], [0.05]]))[:, 0].tolist() == [True, True, False]
