"""Generated scans followed from their labelled slices with the shipped checkpoint."""

import torch

from oneslice import Segmenter
from oneslice.clock import Stopwatch
from oneslice.encoded import EncodedFrames
from oneslice.fusion import Blend, overlap
from oneslice.outward import Outward, _nearest
from oneslice.registration import LOST
from oneslice.sam2.state import ABSENT
from tests.cohort import MIDDLE, patient

SIZE = 128
AXIS = (torch.arange(SIZE) + 0.5) / SIZE
BLEND = Blend(100, 0.5, 0.7)
STEP = 4.0


def disc(x, y, radius):
    """(S, S), 1 inside."""
    return (((AXIS - x) ** 2 + (AXIS[:, None] - y) ** 2) < radius**2).float()


def picture(*discs):
    """A body (1, S, S) with bright discs in it, and some texture."""
    body = 0.3 * disc(0.5, 0.5, 0.46) + 0.04 * torch.sin(AXIS * 60) * torch.cos(AXIS[:, None] * 45)
    for number, inside in enumerate(discs):
        body = torch.where(inside > 0, 0.6 + 0.3 * number, body)
    noise = torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    return (body + 0.02 * noise).clamp(0, 1)[None]


def outward(segmenter, images, given, ends=False):
    engine, clock = segmenter._engine, Stopwatch()
    queries = EncodedFrames(engine, images, 2**30, clock)
    return Outward(engine, queries, given, BLEND, STEP, ends, clock)


def found(segmenter, images, given, ends=False):
    """What is found, by slice."""
    results = outward(segmenter, images, given, ends).segment(lambda: None)
    return {result.index: result for result in results}


def moving(slices):
    """A disc that goes a third of its width on from slice to slice: images and masks."""
    masks = [disc(0.3 + 0.045 * n, 0.4 + 0.02 * n, 0.07) for n in range(slices)]
    return [picture(mask) for mask in masks], masks


def test_a_structure_is_followed_farther_than_the_labelled_slice_could_be_registered(segmenter):
    images, masks = moving(9)
    results = found(segmenter, images, {0: masks[0][None]})
    assert sorted(results) == list(range(1, 9))
    for index, result in results.items():
        mask = (result.logits > 0).float()
        assert overlap(mask, masks[index][None]) > 0.75
        assert result.match.chosen.tolist() == [0]


def test_both_ways_from_the_nearest_labelled_slice(segmenter):
    images, masks = moving(7)
    results = found(segmenter, images, {2: masks[2][None], 6: masks[6][None]})
    assert sorted(results) == [0, 1, 3, 4, 5]
    chosen = {index: int(result.match.chosen) for index, result in results.items()}
    assert chosen == {0: 2, 1: 2, 3: 2, 4: 2, 5: 6}
    for index, result in results.items():
        assert overlap((result.logits > 0).float(), masks[index][None]) > 0.8


def test_each_structure_has_labelled_slices_of_its_own(segmenter):
    one, two = disc(0.3, 0.5, 0.1), disc(0.7, 0.5, 0.12)
    images, none = [picture(one, two)] * 5, torch.zeros(SIZE, SIZE)
    given = {1: torch.stack([one, none]), 3: torch.stack([none, two])}
    results = found(segmenter, images, given)
    assert sorted(results) == [0, 1, 2, 3, 4]
    assert (results[1].logits[0] == ABSENT).all() and (results[3].logits[1] == ABSENT).all()
    for index, result in results.items():
        assert result.match.chosen.tolist() == [1, 3]
        if index != 1:
            assert overlap((result.logits[:1] > 0).float(), one[None]) > 0.9
        if index != 3:
            assert overlap((result.logits[1:] > 0).float(), two[None]) > 0.9


def test_where_a_structure_ends_it_no_longer_resembles_the_labelled_one(segmenter):
    mask = disc(0.4, 0.5, 0.1)
    images = [picture(mask)] * 3 + [picture()] * 8
    everything = found(segmenter, images, {0: mask[None]})
    there, gone = [everything[n] for n in (1, 2)], [everything[n] for n in range(3, 11)]
    assert min(r.agreement for r in there) > max(r.agreement for r in gone)
    assert max(r.match.distance for r in there) < min(r.match.distance for r in gone)
    followed = found(segmenter, images, {0: mask[None]}, ends=True)
    assert sorted(followed) == sorted(everything)
    assert all(torch.equal(followed[n].logits, everything[n].logits) for n in (1, 2))
    assert all((followed[n].logits == ABSENT).all() for n in range(3, 11))
    tried = [n for n in range(3, 11) if followed[n].match.distance < LOST]
    assert tried and len(tried) < len(gone)


def test_every_slice_is_counted_and_nothing_is_kept(segmenter):
    images, masks = moving(4)
    walk, ticks = outward(segmenter, images, {1: masks[1][None]}), []
    results = list(walk.segment(lambda: ticks.append(1)))
    assert len(ticks) == 3 and [r.index for r in results] == [0, 2, 3]
    assert not any(walk._crops) and set(walk._described) <= {0, 1}


def test_the_nearest_labelled_slice_of_each_structure():
    shown = {4: torch.tensor([True, False]), 0: torch.tensor([True, True])}
    assert _nearest(shown, 6).T.tolist() == [[0, 0, 0, 4, 4, 4], [0] * 6]


def test_a_scan_that_shows_all_structures_is_followed_and_no_other_support_is_asked():
    one, other = patient(1), patient(2)
    segmenter = Segmenter("mini", "cpu", image_size=SIZE)
    alone = segmenter.segment(one.image, one.support)
    both = segmenter.segment(one.image, [other.support, one.support])
    assert (both.array == alone.array).all()
    sources = [s["support"] for n in both.record["slices"] for s in n.get("structures", [])]
    assert all(source == {"scan": one.image.name, "slice": MIDDLE} for source in sources)
    partly = one.labelled([MIDDLE], values=(1,))
    mixed = segmenter.segment(one.image, [other.support, partly])
    asked = {s["support"]["scan"] for n in mixed.record["slices"] for s in n.get("structures", [])}
    assert other.image.name in asked
