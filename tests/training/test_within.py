"""The ship gate on two drawn cases."""

from itertools import product

import pytest

from tests.training.drawn import write_case
from training.within import run


@pytest.fixture
def cases(tmp_path):
    """A disc (1) that differs from slice to slice; boxes (3, 4), one of them on two slices."""
    for number in range(2):
        write_case(tmp_path / f"case{number}", number, {3: (3, 6), 4: (0, 1)})
    return tmp_path


def test_the_middle_slice_answers_its_scan_and_the_next(mini, cases):
    scores = run(mini, cases, [1, 3, 4], limit=10)
    assert set(scores) == set(product((1, 3), ("within", "across"), ("model", "copy")))
    assert all(len(values) == 2 for values in scores.values())
    assert scores[3, "within", "copy"] == scores[3, "across", "copy"] == [1, 1]
    assert max(scores[1, "across", "copy"]) < min(scores[1, "within", "copy"]) < 0.98
    assert min(map(min, (scores[label, "within", "model"] for label in (1, 3)))) > 0.95
    assert min(scores[1, "across", "model"]) > 0.95


def test_a_single_case_supports_itself(mini, cases):
    """Labelled slice included, so that copying is a little better than on the other slices."""
    scores = run(mini, cases, [1], limit=1)
    assert len(scores[1, "across", "copy"]) == 1
    assert scores[1, "across", "copy"] > scores[1, "within", "copy"]
