import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from oneslice.presence import (
    evidence,
    evidence_followed,
    reach,
    stretches,
    unless_beyond,
    unless_rivalled,
)


def column(values):
    return np.array(values, float)[:, None]


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=8))
def test_against_all_possible_stretches(odds):
    """By the plain definition: no other stretch has more evidence, of which the strong is more."""
    (found,) = np.flatnonzero(np.diff(stretches(column(odds))[:, 0], prepend=0, append=0)).reshape(
        -1, 2
    )
    weighed = [each**2 if each > 0 else each for each in odds]
    ends = itertools.combinations(range(len(odds) + 1), 2)
    assert np.isclose(sum(weighed[slice(*found)]), max(sum(weighed[a:b]) for a, b in ends))


def test_one_doubtful_slice_neither_splits_a_structure_nor_makes_one():
    odds = column([-3, -3, 0.8, -3, 4, 4, -0.8, 4, 4, -3])
    assert stretches(odds)[:, 0].tolist() == [False] * 4 + [True] * 5 + [False]


def test_a_structure_is_in_one_place():
    odds = column([2, 2, 2, -9, -9, 3, 3, 3])
    assert np.flatnonzero(stretches(odds)).tolist() == [5, 6, 7]


def test_few_certain_slices_outweigh_many_doubtful_ones():
    odds = column([1] * 9 + [-20] + [4, 4])
    assert np.flatnonzero(stretches(odds)).tolist() == [10, 11]


def test_structures_are_decided_one_by_one():
    odds = np.array([[4, -4], [4, -4], [-4, 4]], float)
    assert stretches(odds).tolist() == [[True, False], [True, False], [False, True]]


def test_slices_are_measured_against_the_best_of_their_scan():
    agreement, cost = column([0.1, 0.5, 0.5, 0.5, 0.1]), column([0.2, 0.05, 0.05, 0.05, 0.2])
    there = evidence(agreement, cost)[:, 0] > 0
    assert there.tolist() == [False, True, True, True, False]
    worse = evidence(agreement - 0.1, cost + 0.1)  # another checkpoint, another modality
    assert np.array_equal(worse[:, 0] > 0, there)


def test_slices_beyond_the_expected_height_need_more_evidence():
    """Bowel like a spleen, far below it, against the spleen itself."""
    odds = column([3, 3, 3, -20, 2.5, 2.5, 2.5])
    beyond = column([2, 1.5, 1, 0.5, 0, 0, 0])
    assert np.flatnonzero(stretches(odds)).tolist() == [0, 1, 2]
    less = unless_beyond(odds, beyond)
    assert np.flatnonzero(stretches(less)).tolist() == [4, 5, 6]
    assert np.array_equal(less[beyond == 0], odds[beyond == 0])
    assert (np.diff(less[:3, 0]) >= 0).all() and less[0] == less[1]  # farther off is not worse


def test_of_two_structures_with_the_same_mask_only_one_is_there():
    """A spleen spreads over a kidney; beside it, where it is, both masks only overlap."""
    kidney, spleen = [4, 3, 2, -1, -4], [1, 1, 1, 3, 4]
    odds = np.array([kidney, spleen], float).T
    masks_alike = np.array([0.9, 0.9, 0.9, 0.6, 0.0])
    shared = masks_alike[:, None, None] * (1 - np.eye(2))
    assert stretches(odds)[:, 1].all()
    found = stretches(unless_rivalled(odds, shared))
    assert found.T.tolist() == [[True] * 3 + [False] * 2, [False] * 3 + [True] * 2]


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=2), st.floats(0, 1))
def test_rivals_are_told_apart_by_the_odds_of_one_against_the_other(pair, share):
    """Two masks of one thing: the weaker has the odds of itself against the other."""
    odds = np.array([pair])
    left = unless_rivalled(odds, share * (1 - np.eye(2))[None])
    assert (left <= odds).all()
    if share <= 0.7:
        assert np.array_equal(left, odds)
    elif share > 0.8 and 0 < pair[0] < pair[1]:
        assert np.allclose(left, [[pair[0] - pair[1], pair[1]]])


def test_the_best_slices_are_sought_where_the_structure_should_be():
    """Something else fits better, on three slices that are not at the structure's height."""
    agreement, cost = column([0.45] * 3 + [0.1] * 3), column([0.05] * 3 + [0.12] * 3)
    nowhere = np.zeros_like(agreement, bool)
    at_height = column([0, 0, 0, 1, 1, 1]).astype(bool)
    assert (evidence(agreement, cost)[3:] < 0).all()
    assert (evidence(agreement, cost, at_height)[3:] > 0).all()
    assert np.array_equal(evidence(agreement, cost, nowhere), evidence(agreement, cost))


def test_where_the_masks_agree_a_structure_is_there():
    agreement, cost = column([0.99, 0.7, 0.7, 0.3]), column([0.0, 0.3, 0.3, 0.3])
    assert (evidence(agreement, cost)[:, 0] > 0).tolist() == [True, True, True, False]


def test_a_structure_is_somewhere_even_in_a_scan_of_one_slice():
    assert evidence(column([0.1]), column([0.4]))[0, 0] > 0


def test_a_followed_structure_ends_where_it_is_no_longer_found_nor_expected():
    near = np.array([0.3, 0.6, 0.9, 1.2, 1.5, 1.8])
    agreement, seen = np.array([0.9, 0.9, 0.8, 0.8, 0.1, 0.1]), np.full(6, 0.7)
    odds = evidence_followed(agreement, seen, near)
    assert reach(odds) == 4
    unseen = evidence_followed(np.full(6, 0.8), np.array([0.7, 0.7, 0.7, 0.7, 0.0, 0.0]), near)
    assert (unseen[4:] < unseen[3] - 1).all()
    other_checkpoint = evidence_followed(agreement - 0.1, seen / 2, near)
    assert reach(other_checkpoint) == 4


def test_little_is_expected_beyond_labelled_slices_that_are_spread():
    away = np.array([0.3, 0.6, 0.9, 1.2, 1.5, 1.8])
    agreement, seen = np.array([0.9, 0.9, 0.85, 0.4, 0.35, 0.3]), np.full(6, 0.7)
    alone = reach(evidence_followed(agreement, seen, away))
    assert reach(evidence_followed(agreement, seen, away, apart=1.0)) == 3 < alone
    assert reach(evidence_followed(agreement, seen, away, apart=0.02)) == alone  # side by side
    assert reach(evidence_followed(agreement, seen, away, apart=9.0)) == alone  # long and thin


def test_nothing_is_expected_of_a_structure_that_is_much_longer_than_wide():
    same = np.full(40, 0.8)
    odds = evidence_followed(same, same, 0.5 * np.arange(1, 41))
    assert (np.diff(odds)[:3] < 0).all() and np.allclose(np.diff(odds)[3:], 0)


@given(st.lists(st.floats(-5, 5), max_size=8))
def test_a_structure_reaches_as_far_as_the_evidence_says(odds):
    """By the plain definition: no other end is more likely."""
    last = reach(np.array(odds))
    likelihood = [sum(odds[:end]) - sum(odds[end:]) for end in range(len(odds) + 1)]
    assert np.isclose(likelihood[last], max(likelihood))


def test_a_doubtful_slice_between_certain_ones_is_bridged():
    assert reach(np.array([5.0, -2.0, 4.0, -6.0, -6.0, 1.0])) == 3
    assert reach(np.array([-1.0, -2.0])) == 0 and reach(np.array([])) == 0
