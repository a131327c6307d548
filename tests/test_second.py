from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oneslice import Segmenter, Settings
from oneslice.prompting import Match
from oneslice.propagation import SlicePrediction
from oneslice.second import second_pass, trusted
from oneslice.volume import Structure
from tests.cohort import patient

SIZE = 32
ONE = Structure(5, "one", (255, 0, 0))


def square(side):
    """Logits (1, S, S), positive inside a square in the middle."""
    logits = torch.full((1, SIZE, SIZE), -20.0)
    half = side // 2
    logits[:, 16 - half : 16 + half, 16 - half : 16 + half] = 8.0
    return logits


def result(index, logits, agreement, cost):
    match = Match(torch.tensor([0]), torch.tensor([cost]))
    return SlicePrediction(index, logits, torch.tensor([0.9]), match, torch.tensor([agreement]))


def test_bad_slices_are_followed_from_good_ones():
    first = [result(n, square(8), 0.9, 0.03) for n in (3, 4)]
    first += [result(n, square(4), 0.2, 0.1) for n in (2, 5, 6, 7)]
    seen, ticks = {}, []

    def follow(labels):
        seen.update(labels)
        return iter(replace(first[0], index=n, logits=square(8)) for n in (2, 5, 6))

    found = {r.index: r for r in second_pass(first, (ONE,), follow, lambda: ticks.append(1))}
    assert len(ticks) == 6 and sorted(found) == [2, 3, 4, 5, 6, 7]
    assert sorted(seen) == [3, 4]
    for labels in seen.values():
        assert np.array_equal(labels, 5 * (square(8)[0] > 0).numpy())
    assert torch.equal(found[3].logits > 0, square(8) > 0)
    assert torch.equal(found[7].logits > 0, square(4) > 0)  # it was not followed there
    for index in (2, 5, 6):  # the mean of both passes: where only one found it, it is a toss-up
        assert torch.equal(found[index].logits > 1, square(4) > 0)
        assert found[index].agreement == pytest.approx(0.2)
        assert found[index].match.distance == pytest.approx(0.1)


def test_what_went_well_nowhere_stays_as_it_is():
    """Of two structures one is followed; for the other a second pass finds nothing."""
    both = ONE, Structure(6, "two", (0, 255, 0))
    first = [
        SlicePrediction(
            index,
            torch.cat([square(8), square(4)]),
            torch.tensor([0.9, 0.3]),
            Match(torch.tensor([0, 0]), torch.tensor([0.03, 0.1])),
            torch.tensor([agreement, 0.4]),
        )
        for index, agreement in enumerate((0.9, 0.2, 0.2))
    ]
    seen = {}

    def follow(labels):
        seen.update(labels)
        lost = torch.full((1, SIZE, SIZE), -20.0)
        return iter(replace(r, logits=torch.cat([square(12), lost])) for r in first)

    found = {r.index: r for r in second_pass(first, both, follow, lambda: None)}
    assert [np.unique(labels).tolist() for labels in seen.values()] == [[0, 5]]
    for index in (1, 2):
        assert torch.equal(found[index].logits[1] > 0, square(4)[0] > 0)
        assert torch.equal(found[index].logits[0] > 1, square(8)[0] > 0)


@given(st.integers(1, 12), st.integers(1, 3), st.data())
def test_a_third_of_what_was_found_is_trusted(slices, structures, data):
    shape = slices, structures
    values = st.lists(st.floats(0, 1), min_size=slices * structures, max_size=slices * structures)
    agreement, cost = (np.array(data.draw(values)).reshape(shape) for _ in range(2))
    found = np.array(data.draw(values)).reshape(shape) > 0.3
    good = trusted(agreement, cost, found)
    assert not (good & ~found).any()
    assert (good.sum(0) <= np.ceil(found.sum(0) / 3)).all()
    sure = trusted(agreement / 2 + 0.5, cost, found)  # nowhere badly
    assert (sure.sum(0) == np.ceil(found.sum(0) / 3)).all()


def test_the_best_are_trusted():
    agreement = np.array([[0.9], [0.1], [0.8], [0.2], [0.1], [0.95]])
    found = np.array([[True]] * 5 + [[False]])
    good = trusted(agreement, np.full((6, 1), 0.05), found)
    assert good[:, 0].tolist() == [True, False, True, False, False, False]


def test_two_passes_tell_their_progress_and_change_the_result():
    query, support = patient(2), patient(1).support
    outcomes, steps = {}, []
    for effort in ("default", "best"):
        segmenter = Segmenter("mini", "cpu", Settings(effort=effort), image_size=128)
        report = steps.append if effort == "best" else lambda _: None
        found = segmenter.segment(
            query.image, support, progress=lambda done, total, to=report: to((done, total))
        )
        outcomes[effort] = found.array
    assert (outcomes["default"] != outcomes["best"]).any()
    done = [d for d, _ in steps]
    assert done == sorted(done) and steps[-1][0] == steps[-1][1]
    assert all(d <= total for d, total in steps)
