"""Each frame is encoded once, as far as the budget allows."""

import pytest
import torch

from oneslice.clock import Stopwatch
from oneslice.encoded import EncodedFrames

IMAGES = list(torch.rand(6, 1, 128, 128, generator=torch.Generator().manual_seed(0)))


@pytest.fixture(scope="module")
def each(segmenter):
    """Bytes of one frame's features."""
    return segmenter._engine.encode(IMAGES[0][None]).nbytes


def frames(segmenter, budget):
    return EncodedFrames(segmenter._engine, IMAGES, budget, Stopwatch())


def test_features_are_those_of_the_engine_in_the_order_asked_for(segmenter, each):
    for budget in (1, 10 * each):
        found = frames(segmenter, budget).features([3, 1, 3])
        alone = [segmenter._engine.encode(IMAGES[n][None]) for n in (3, 1, 3)]
        assert torch.equal(found.top, torch.cat([one.top for one in alone]))


def test_what_fits_is_encoded_once(segmenter, each):
    encoded = frames(segmenter, len(IMAGES) * each)
    for _ in range(2):
        for index in range(len(IMAGES)):
            encoded.features([index])
    assert encoded.encoded == len(IMAGES)


def test_of_a_second_round_only_what_lies_beyond_the_budget_is_encoded_again(segmenter, each):
    encoded = frames(segmenter, 4 * each)
    for _ in range(2):
        for index in range(len(IMAGES)):
            encoded.features([index])
    assert encoded.encoded == len(IMAGES) + 2


def test_the_last_ones_are_at_hand_whatever_the_budget(segmenter):
    encoded = frames(segmenter, 1)
    for index in (0, 0, 1, 1, 1):
        encoded.features([index])
    assert encoded.encoded == 2


def test_no_more_is_kept_than_the_budget_and_the_last_one(segmenter, each):
    encoded = frames(segmenter, 2 * each)
    for index in range(len(IMAGES)):
        encoded.features([index])
        assert sum(features.nbytes for features in encoded._cache.values()) <= 3 * each
