import pytest
import torch

from training.clips import FRAMES, TINY, Plan, make_clips
from training.rng import Draw
from training.shapes import LABELS

PLAN = Plan(batch=6, targets=3, size=64)


@pytest.mark.parametrize(("supports", "chain"), [(1, False), (3, False), (1, True), (2, True)])
def test_shapes_and_range(supports, chain):
    clip = make_clips(Draw(3), PLAN, supports, chain)
    assert clip.pixels.shape == (6, FRAMES, 3, 64, 64)
    assert clip.masks.shape == (6, 3, FRAMES, 64, 64)
    assert torch.isfinite(clip.pixels).all()
    assert clip.pixels.abs().max() < 3  # normalised [0, 1]


def test_same_seed_same_clip_and_other_seed_other_clip():
    first, again = (make_clips(Draw(5), PLAN, 1, False) for _ in range(2))
    other = make_clips(Draw(6), PLAN, 1, False)
    assert torch.equal(first.pixels, again.pixels)
    assert torch.equal(first.masks, again.masks)
    assert not torch.equal(first.pixels, other.pixels)


def test_valid_says_that_a_support_shows_the_target():
    clip = make_clips(Draw(7), PLAN, 3, False)
    shown = clip.masks[:, :, :3].flatten(3).sum(-1).amax(-1) > TINY / 4
    assert torch.equal(clip.valid, shown)
    assert clip.valid.float().mean() > 0.8


def test_masks_follow_the_labels(monkeypatch):
    """Every mask is a union of labels: one label is wholly in a mask or wholly out of it."""
    seen = {}

    def spy(*arguments):
        seen["labels"] = paint(*arguments)
        return seen["labels"]

    from training import clips

    paint = clips.paint
    monkeypatch.setattr(clips, "paint", spy)
    monkeypatch.setattr(clips, "_mirror", lambda draw, grey, masks: (grey, masks))
    clip = make_clips(Draw(11), PLAN, 1, True)
    for b in range(PLAN.batch):
        for label in range(LABELS):
            where = seen["labels"][b] == label
            if where.any():
                share = clip.masks[b, :, where].float().mean(1)
                assert ((share == 0) | (share == 1)).all()


def test_a_fifth_of_the_queries_lacks_its_target():
    absent = total = 0
    for seed in range(12):
        clip = make_clips(Draw(seed), Plan(batch=8, size=64), 1, False)
        shown = clip.masks[:, :, 1:].flatten(3).any(-1)[clip.valid]
        absent, total = absent + int((~shown).sum()), total + shown.numel()
    assert 0.15 < absent / total < 0.45


def test_cross_patient_queries_differ_more_than_those_of_the_same_scan():
    def copied(cross):
        scores = []
        for seed in range(4):
            plan = Plan(batch=8, size=64, cross=cross, absent=0.0)
            masks = make_clips(Draw(seed), plan, 1, False).masks.float()
            first, query = masks[:, :, 0], masks[:, :, 1]
            both = (first * query).flatten(2).sum(-1)
            scores.append(2 * both / (first + query).flatten(2).sum(-1).clamp(min=1))
        return torch.cat(scores).mean()

    assert copied(0.0) > copied(1.0) + 0.1
