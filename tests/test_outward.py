"""Generated scans followed from their labelled slices with the shipped checkpoint."""

import torch

from oneslice import Segmenter
from oneslice.camera import Camera
from oneslice.clock import Stopwatch
from oneslice.encoded import EncodedFrames
from oneslice.fusion import Blend, overlap
from oneslice.outward import Outward, _nearest
from oneslice.registration import LOST
from tests.cohort import MIDDLE, patient
from tests.phantoms import SIZE, disc, frames, moving, picture


def outward(segmenter, images, given, side=SIZE):
    camera, clock = Camera(frames(images), side), Stopwatch()
    seen = {index: camera.aim(index, masks) for index, masks in given.items()}
    queries = EncodedFrames(segmenter._engine, camera, 2**30, clock)
    return Outward(segmenter._engine, camera, queries, seen, Blend(side, 0.5, 0.7), clock)


def found(segmenter, images, given, ends=False):
    """The trail, and the masks (S, S) found on each slice, by structure."""
    trail = outward(segmenter, images, given).follow(ends, lambda _: None)
    return trail, [{k: m > 0 for k, m in trail.take(n).items()} for n in range(len(images))]


def test_a_structure_is_followed_farther_than_the_labelled_slice_could_be_registered(segmenter):
    images, masks = moving(9)
    trail, slices = found(segmenter, images, {0: masks[0][None]})
    assert not slices[0] and trail.anchors[:, 0].tolist() == [0] * 9
    for index in range(1, 9):
        assert overlap(slices[index][0][None].float(), masks[index][None]) > 0.75


def test_both_ways_from_the_nearest_labelled_slice(segmenter):
    images, masks = moving(7)
    trail, slices = found(segmenter, images, {2: masks[2][None], 6: masks[6][None]})
    assert trail.anchors[:, 0].tolist() == [2, 2, 2, 2, 2, 6, 6]
    assert [bool(each) for each in slices] == [True, True, False, True, True, True, False]
    for index in (0, 1, 3, 4, 5):
        assert overlap(slices[index][0][None].float(), masks[index][None]) > 0.8


def test_each_structure_has_labelled_slices_of_its_own(segmenter):
    one, two = disc(0.3, 0.5, 0.1), disc(0.7, 0.5, 0.12)
    images, none = [picture(one, two)] * 5, torch.zeros(SIZE, SIZE)
    given = {1: torch.stack([one, none]), 3: torch.stack([none, two])}
    trail, slices = found(segmenter, images, given)
    assert (trail.anchors == torch.tensor([1, 3])).all()
    assert set(slices[1]) == {1} and set(slices[3]) == {0}
    for masks in slices:
        for structure, mask in masks.items():
            assert overlap(mask[None].float(), (one, two)[structure][None]) > 0.9


def test_where_a_structure_ends_it_no_longer_resembles_the_labelled_one(segmenter):
    mask = disc(0.4, 0.5, 0.1)
    images = [picture(mask)] * 3 + [picture()] * 8
    everywhere, masks = found(segmenter, images, {0: mask[None]})
    assert everywhere.agreement[1:3].min() > everywhere.agreement[3:].max()
    assert everywhere.cost[1:3].max() < everywhere.cost[3:].min()
    trail, there = found(segmenter, images, {0: mask[None]}, ends=True)
    assert all(torch.equal(there[n][0], masks[n][0]) for n in (1, 2)) and not any(there[3:])
    assert trail.odds[1:3].min() > 0 > trail.odds[3:][trail.cost[3:] < LOST].max()
    tried = int((trail.cost[3:] < LOST).sum())
    assert 0 < tried < 8


def test_a_large_structure_does_not_spread_from_slice_to_slice_into_what_is_as_bright(segmenter):
    mask, way = disc(0.33, 0.5, 0.3), torch.zeros(SIZE, SIZE)
    way[60:68, 40:118] = 1
    beside = way * (1 - mask)
    images = [picture(mask)] + [picture(torch.maximum(mask, way))] * 9
    _, slices = found(segmenter, images, {0: mask[None]})
    taken = [int((masks[0] * beside).sum()) for masks in slices[1:]]
    assert taken[-1] <= taken[0] < 0.2 * beside.sum()
    assert overlap(slices[-1][0][None].float(), mask[None]) > 0.95


def test_every_slice_is_counted_and_nothing_is_kept(segmenter):
    images, masks = moving(4)
    walk, ticks = outward(segmenter, images, {1: masks[1][None]}), []
    trail = walk.follow(False, ticks.append)
    assert sum(ticks) == 4 and set(walk._described) <= {0, 1}
    assert trail.take(0) and not trail.take(0)


def test_what_outgrows_the_camera_is_given_up(segmenter):
    masks = [disc(0.5, 0.5, 0.06 + 0.03 * n) for n in range(6)]
    images, given = [picture(mask) for mask in masks], {0: masks[0][None]}
    assert outward(segmenter, images, given, side=40).follow(False, lambda _: None) is None
    assert outward(segmenter, images, given).follow(False, lambda _: None) is not None


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
