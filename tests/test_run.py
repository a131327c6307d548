"""One scan through all stages, where only all of them together can go wrong."""

import pytest

from examples.cohort import one_slice, patient
from oneslice import Segmenter, Support
from tests.cohort import dice


@pytest.mark.parametrize("structure", ["left kidney", "spleen"])
def test_a_spleen_does_not_take_the_place_of_the_kidney_below_it(found_and_truth, structure):
    """Both fit the one that is there: each by itself, they have 90 and 89."""
    found, truth = found_and_truth
    value = next(s.value for s in truth.structures if s.name == structure)
    assert dice(found, truth.array, value) > 0.95


@pytest.fixture(scope="module")
def found_and_truth():
    (labelled, labels), (scan, truth) = patient(0), patient(1)
    support = Support(labelled, one_slice(labels))
    return Segmenter("mini", "cpu").segment(scan, support).array, truth
