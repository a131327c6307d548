"""The shipped checkpoint on generated patients."""

from functools import cache

from oneslice import Segmenter, Settings
from tests.cohort import mean_dice


@cache
def with_settings(**options):
    """Made quick: the paper's search on small frames."""
    return Segmenter("mini", "cpu", Settings(**{"search": "pool"} | options), image_size=128)


def assert_a_part_shows_more(labelled, other):
    """A part of a patient's slices is looked at alone, for the better, and put in its place."""
    results = {}
    for closeup in (False, True):
        segmenter = Segmenter("mini", "cpu", Settings(closeup=closeup, effort="fast"))
        results[closeup] = segmenter.segment(other.image, labelled.support)
    near, whole = results[True], results[False]
    assert "region" in near.record and "region" not in whole.record
    assert near.geometry.difference(other.image.geometry) is None
    truth = other.labels.array
    assert mean_dice(near.array, truth) > mean_dice(whole.array, truth) + 0.02
