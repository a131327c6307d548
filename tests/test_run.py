"""One scan through all stages, where only all of them together can go wrong."""

from dataclasses import replace

import pytest
import torch

from examples.cohort import one_slice, patient
from oneslice import Segmenter, Settings, Support
from oneslice.sam2.engine import Engine
from oneslice.sam2.state import ABSENT
from tests import cohort


@pytest.mark.parametrize("structure", ["left kidney", "spleen"])
def test_a_spleen_does_not_take_the_place_of_the_kidney_below_it(found_and_truth, structure):
    """Both fit the one that is there: each by itself, they have 90 and 89."""
    found, truth = found_and_truth
    value = next(s.value for s in truth.structures if s.name == structure)
    assert cohort.dice(found, truth.array, value) > 0.95


@pytest.fixture(scope="module")
def found_and_truth():
    (labelled, labels), (scan, truth) = patient(0), patient(1)
    support = Support(labelled, one_slice(labels))
    return Segmenter("mini", "cpu").segment(scan, support).array, truth


@pytest.mark.parametrize("trim", [False, True])
def test_what_the_network_calls_absent_is_followed_where_ends_are_decided(blind, trim):
    one = cohort.patient(1)
    found = blind(trim).segment(one.image, one.support).array[..., cohort.MIDDLE + 1]
    assert bool(found.any()) is trim
    assert (cohort.mean_dice(found, one.labels.array[..., cohort.MIDDLE + 1]) > 0.9) is trim


def test_what_the_network_calls_absent_completes_no_support(blind):
    one, other = cohort.patient(1), cohort.patient(2, cohort.SHORT)
    slices = blind(True).segment(other.image, one.support).record["slices"]
    origins = [found["support"] for each in slices for found in each["structures"]]
    assert origins and not any("predicted" in origin for origin in origins)


@pytest.fixture
def blind(monkeypatch):
    """Makes segmenters whose network sees nothing anywhere; ``trim`` decides ends."""
    segment = Engine.segment

    def absent(self, *asked):
        seen = segment(self, *asked)
        return replace(seen, score=-seen.score.abs(), logits=torch.full_like(seen.logits, ABSENT))

    monkeypatch.setattr(Engine, "segment", absent)
    return lambda trim: Segmenter("mini", "cpu", Settings(trim=trim), image_size=128)
