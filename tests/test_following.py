"""Drawn and generated scans followed from their labelled slices with the shipped checkpoint."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from oneslice import Segmenter, Settings
from oneslice.camera import Camera
from oneslice.clock import Stopwatch
from oneslice.following import Follower, _Part
from oneslice.frames import Frames, Window
from oneslice.fusion import Blend, fuse, overlap
from oneslice.geometry import Geometry, SliceView
from oneslice.trail import Step, Trail
from oneslice.volume import Structure, Volume
from tests.cohort import MIDDLE, STRUCTURES, dice, patient
from tests.phantoms import SIZE, disc, frames, moving, picture

ONE, TWO = Structure(3, "one", (255, 0, 0)), Structure(7, "two", (0, 255, 0))


def follower(segmenter, images, structures=(ONE,), closeup=True):
    blend = Blend(SIZE, 0.5, 0.7)
    return Follower(
        segmenter._engine, frames(images), structures, blend, closeup, 2**30, Stopwatch()
    )


def labels(*masks):
    values = np.zeros(masks[0].shape, np.uint16)
    for structure, mask in zip((ONE, TWO), masks, strict=False):
        values[mask.numpy() > 0] = structure.value
    return values


def test_a_small_structure_is_found_better_from_near(segmenter):
    images, masks = moving(8, radius=0.02, size=512)
    scores = []
    for closeup in (True, False):
        results = follower(segmenter, images, closeup=closeup).segment(
            {0: labels(masks[0])}, False, lambda _: None
        )
        found = {r.index: (r.logits > 0).float() for r in results}
        assert sorted(found) == list(range(1, 8))
        scores.append(np.mean([overlap(found[n], masks[n][None]) for n in found]))
    near, far = scores
    assert near > 0.8 and near > far + 0.1


def test_small_structures_go_alone_and_the_large_ones_together(segmenter):
    small, large = disc(0.3, 0.3, 0.05), disc(0.6, 0.6, 0.25)
    images = [picture(small, large)] * 3
    pair = follower(segmenter, images, (ONE, TWO))
    ((far, whole), (near, side)) = pair._groups({1: labels(small, large)})
    assert (far, whole, near) == ([1], SIZE, [0])
    assert side == pytest.approx(3 * 12, abs=3)  # mm, of a disc 12 mm wide
    without = follower(segmenter, images, (ONE, TWO), closeup=False)
    assert without._groups({1: labels(small, large)}) == [([0, 1], SIZE)]
    assert pair._groups({0: labels(small), 2: labels(small)}) == [([0], side)]


@pytest.mark.parametrize(("row_mm", "column_mm", "longest"), [(1.0, 1.0, 10), (0.5, 2.0, 6)])
def test_how_long_a_structure_is_goes_by_rows_and_columns(segmenter, row_mm, column_mm, longest):
    mask = torch.zeros(SIZE, SIZE)
    mask[10:20, 30:33] = 1  # ten rows, three columns
    image = picture(mask)
    grid = Geometry.from_parts(tuple(image.shape), (5.0, row_mm, column_mm))
    shown = Frames(Volume(image.numpy(), grid), SliceView((0, 1, 2)), Window(0, 1), SIZE)
    one = replace(follower(segmenter, [image]), frames=shown)
    assert one._groups({0: labels(mask)}) == [([0], 3 * longest)]


def test_what_no_slice_shows_is_found_nowhere_and_the_work_adds_up(segmenter):
    small, shares = disc(0.3, 0.3, 0.06), []
    results = follower(segmenter, [picture(small)] * 4, (ONE, TWO)).segment(
        {2: labels(small)}, True, shares.append
    )
    found = list(results)
    assert [r.index for r in found] == [0, 1, 3] and sum(shares) == pytest.approx(4)
    assert shares == pytest.approx([0, 0, 0.5, 1, 0, 0.5, 1, 1])  # there and back
    for result in found:
        assert result.logits.shape == (2, SIZE, SIZE)
        assert overlap((result.logits[:1] > 0).float(), small[None]) > 0.85
        assert not (result.logits[1] > 0).any()
        assert result.match.chosen[0] == 2 and result.match.distance[0] < 0.2


def test_what_outgrows_its_camera_is_followed_from_farther_away(segmenter):
    masks = [disc(0.5, 0.5, 0.05 + 0.025 * n) for n in range(7)]
    one = follower(segmenter, [picture(mask) for mask in masks])
    part = one._follow([0], 40.0, {0: labels(masks[0])}, False, lambda _: None)
    assert part.camera.letterbox.side > 40
    found = part.camera.restore(6, part.trail.take(6)[0][None])
    assert overlap((found > 0).float(), masks[6][None]) > 0.7


def test_what_two_structures_claim_is_that_of_the_one_that_surely_reaches_there(segmenter):
    pair = follower(segmenter, [picture()] * 3, (ONE, TWO), closeup=False)
    logits = torch.full((2, SIZE, SIZE), -5.0)
    logits[0, :, :80], logits[1, :, 60:] = 6.0, 4.0
    half, whole = torch.full((2,), 0.5), Camera(pair.frames, SIZE)
    winners = []
    for odds in (0.0, 3.0):
        trail = Trail(torch.full((3, 2), 1), torch.ones(2))
        trail.note(0, [0, 1], Step(logits, half, half, half, half))
        trail.odds[0] = torch.tensor([-1.0, odds])
        result = pair._join(0, [_Part([0, 1], whole, trail)])
        assert torch.equal(result.logits > 0, logits > 0)  # nothing is added or taken away
        winners.append(fuse(result.logits, (ONE, TWO))[0][64, 70])
    assert winners == [ONE.value, TWO.value]


def test_a_structure_labelled_on_other_slices_only_goes_on_through_a_labelled_slice():
    """An organ labelled on one slice, another on the next: neither has a hole."""
    one = patient(1)
    low, high = one.labelled([MIDDLE - 1], values=(1,)), one.labelled([MIDDLE + 1], values=(2, 3))
    found = Segmenter("mini", "cpu", Settings(), image_size=128).segment(one.image, [low, high])
    for support in (low, high):
        given = support.labels.array != 0
        assert np.array_equal(found.array[given], support.labels.array[given])
    liver = one.labels.array[..., MIDDLE + 1] == 1
    assert dice(found.array[..., MIDDLE + 1], one.labels.array[..., MIDDLE + 1], 1) > 0.8
    assert liver.any() and len(STRUCTURES) == 3


def test_a_structure_that_ends_at_a_labelled_slice_does_not_come_onto_it():
    one = patient(1)
    shown = [n for n in range(one.labels.array.shape[2]) if (one.labels.array[..., n] == 2).any()]
    support = one.labelled([MIDDLE, shown[-1] + 1])
    found = Segmenter("mini", "cpu", Settings(), image_size=128).segment(one.image, support)
    assert not (found.array[..., shown[-1] + 1] == 2).any()
