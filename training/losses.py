"""What a clip costs: mask, presence and the model's own estimate of its overlap."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from training.clips import TINY, Clip
from training.forward import enlarge
from training.rollout import Answer, Rollout


@dataclass(frozen=True)
class Weights:
    """Relative weights of the terms."""

    dice: float = 1.0
    focal: float = 10.0
    edge: float = 2.0  # extra weight of pixels near the true edge
    absent: float = 0.2  # weight of the mask term where the target is absent
    presence: float = 0.6
    gone: float = 1.5  # weight of absent targets in the presence term
    overlap: float = 0.1


def clip_loss(rollout: Rollout, weights: Weights) -> tuple[Tensor, dict[str, Tensor]]:
    """Total loss and detached figures of one clip."""
    answers = rollout.answers
    size = answers.truth.shape[-1]
    logits, truth = enlarge(answers.logits, size), answers.truth.float()
    area = truth.flatten(1).sum(1)
    valid = answers.valid.float()
    clear = valid * ((area == 0) | (area >= TINY * (size / 128) ** 2))
    present = clear * (area > 0)
    mask = _mask_loss(logits, truth, clear, present, weights)
    shown = (area > 0).float()
    heed = clear * (shown + weights.gone * (1 - shown))
    presence = _mean(_binary(answers.score, shown), heed)
    prompt = F.binary_cross_entropy_with_logits(
        rollout.prompt_score.float(), rollout.prompt_shown.float()
    )
    dice, iou = overlap(logits > 0, answers.truth)
    guess = _mean((answers.iou.float() - iou).abs(), present)
    total = mask + weights.presence * (presence + 0.2 * prompt) + weights.overlap * guess
    return total, _figures(answers, dice, present, clear, presence, guess)


def _mask_loss(
    logits: Tensor, truth: Tensor, clear: Tensor, present: Tensor, weights: Weights
) -> Tensor:
    """Soft Dice where present, focal everywhere with a heavier edge. Maps (N, 1, S, S)."""
    soft = torch.sigmoid(logits)
    both = (soft * truth).flatten(1).sum(1)
    sums = soft.flatten(1).sum(1) + truth.flatten(1).sum(1)
    dice = 1 - (2 * both + 1) / (sums + 1)
    miss = (soft - truth).abs()
    focal = _binary(logits, truth) * miss * (1 + weights.edge * edge_band(truth))
    share = present + weights.absent * (clear - present)
    return weights.dice * _mean(dice, present) + weights.focal * _mean(
        focal.flatten(1).mean(1), share
    )


def edge_band(truth: Tensor, reach: int = 1) -> Tensor:
    """1 within ``reach`` pixels of the true edge."""
    side = 2 * reach + 1
    grown = F.max_pool2d(truth, side, 1, reach)
    shrunk = -F.max_pool2d(-truth, side, 1, reach)
    return grown - shrunk


def overlap(found: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Dice and IoU of boolean maps (N, ...)."""
    found, truth = found.flatten(1), truth.flatten(1)
    both = (found & truth).sum(1).float()
    total = found.sum(1).float() + truth.sum(1)
    return (2 * both + 1e-6) / (total + 1e-6), (both + 1e-6) / (total - both + 1e-6)


def copy_dice(clip: Clip) -> Tensor:
    """Dice of the middle support's mask laid over the queries, where the target is present."""
    first = clip.supports
    truth = clip.masks[:, :, first:].flatten(0, 2)
    queries = clip.masks.shape[2] - first
    guess = clip.masks[:, :, first // 2].flatten(0, 1).repeat_interleave(queries, 0)
    weight = clip.valid.flatten().repeat_interleave(queries) & truth.flatten(1).any(1)
    return _mean(overlap(guess, truth)[0], weight.float())


def _binary(logits: Tensor, truth: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits.float(), truth, reduction="none")


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp(min=1e-6)


def _figures(
    answers: Answer, dice: Tensor, present: Tensor, clear: Tensor, presence: Tensor, guess: Tensor
) -> dict[str, Tensor]:
    """Detached scalars: Dice of present targets, recall of presence and of absence."""
    says = (answers.score > 0).float()
    absent = clear - present
    figures = {
        "dice": _mean(dice, present),
        "seen": _mean(says, present),
        "gone": _mean(1 - says, absent),
        "absent": absent.sum() / clear.sum().clamp(min=1),
        "presence": presence,
        "overlap": guess,
    }
    return {name: value.detach() for name, value in figures.items()}
