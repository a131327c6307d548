"""What a clip costs, on squares whose overlap is known."""

import pytest
import torch

from training.clips import Clip
from training.losses import Weights, clip_loss, copy_dice, edge_band, overlap
from training.rollout import Answer, Rollout

SIZE = 64


def square(top, left, side=16):
    """(1, S, S), True inside."""
    mask = torch.zeros(1, SIZE, SIZE, dtype=torch.bool)
    mask[:, top : top + side, left : left + side] = True
    return mask


TRUTH, SHIFTED, EMPTY = square(16, 16), square(16, 24), square(0, 0, 0)


def cost(found, truth, score=8.0, iou=1.0, valid=True):
    """Loss and figures of one query whose mask is ``found``, sure of every pixel."""
    logits = (found[None, :, ::4, ::4].float() * 2 - 1) * 12
    values = torch.tensor([iou]), torch.tensor([score])
    answer = Answer(logits, *values, truth[None], torch.tensor([valid]))
    prompt = torch.tensor([8.0]), torch.tensor([True])
    return clip_loss(Rollout(answer, *prompt), Weights())


def test_the_true_mask_costs_least_and_a_farther_one_more():
    exact, near, far = (
        cost(square(16, left), TRUTH, iou=iou)[0] for left, iou in ((16, 1.0), (24, 1 / 3), (40, 0))
    )
    assert exact < 0.5 * near
    assert near < far


def test_figures_of_a_mask_that_is_half_right():
    _, figures = cost(SHIFTED, TRUTH, iou=0.5)
    assert figures["dice"] == pytest.approx(0.5, abs=0.03)
    assert figures["overlap"] == pytest.approx(0.5 - 1 / 3, abs=0.03)
    assert figures["seen"] == 1
    assert figures["absent"] == 0


def test_a_target_that_is_gone_is_best_answered_with_nothing():
    right, figures = cost(EMPTY, EMPTY, score=-8.0)
    unsure, _ = cost(EMPTY, EMPTY, score=8.0)
    drawn, _ = cost(TRUTH, EMPTY, score=-8.0)
    assert right < 0.01
    assert unsure > 1
    assert drawn > right + 0.1
    assert figures["gone"] == figures["absent"] == 1


def test_a_target_that_no_support_shows_or_of_a_few_pixels_costs_nothing():
    wrong = {"score": -8.0, "iou": 0.0}
    free = cost(EMPTY, EMPTY, score=-8.0)[0]
    assert cost(SHIFTED, TRUTH, valid=False, **wrong)[0] == pytest.approx(float(free), abs=1e-3)
    assert cost(SHIFTED, square(8, 8, 1), **wrong)[0] == pytest.approx(float(free), abs=1e-3)
    assert cost(SHIFTED, TRUTH, **wrong)[0] > free + 1


def test_overlap():
    dice, iou = overlap(torch.stack([SHIFTED, TRUTH, EMPTY]), torch.stack([TRUTH, TRUTH, EMPTY]))
    assert dice.tolist() == pytest.approx([1 / 2, 1, 1])
    assert iou.tolist() == pytest.approx([1 / 3, 1, 1])


def test_the_edge_is_one_pixel_to_either_side():
    band = edge_band(TRUTH[None].float())
    assert band.sum() == 18**2 - 14**2
    assert band[0, 0, 15:18, 24].tolist() == [1, 1, 0]


def clip(*frames, supports=1):
    """One target; the loss of copying looks at nothing but its masks."""
    masks = torch.stack(frames, 1)[None]
    return Clip(torch.zeros(0), masks, torch.tensor([[True]]), supports, False)


def test_copying_is_judged_where_the_target_is_present():
    assert copy_dice(clip(TRUTH, TRUTH, SHIFTED, EMPTY)) == pytest.approx(0.75)
    assert copy_dice(clip(EMPTY, TRUTH, EMPTY, TRUTH, supports=3)) == pytest.approx(1)  # the middle
