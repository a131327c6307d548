"""Runs a clip through the model: pairs (queries on their own) or chains (with own memories)."""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import Sam2VideoModel

from training.clips import Clip
from training.forward import (
    Decoded,
    Features,
    Memory,
    attend,
    decode,
    encode,
    enlarge,
    remember,
    remember_prompt,
)


@dataclass
class Answer:
    """Predictions of N = B * K objects on one query frame, or on several stacked ones."""

    logits: Tensor  # (N, 1, S/4, S/4)
    iou: Tensor  # (N,)
    score: Tensor  # (N,)
    truth: Tensor  # (N, 1, S, S) bool
    valid: Tensor  # (N,)


@dataclass
class Rollout:
    """All answers of a clip and the object scores of its labelled frames."""

    answers: Answer
    prompt_score: Tensor  # (S * N,)
    prompt_shown: Tensor  # (S * N,)


def run_clip(model: Sam2VideoModel, clip: Clip, coin: torch.Generator, teacher: float) -> Rollout:
    """``teacher`` is the chance that a chain's memory gets the true mask; coin is a CPU source."""
    b, t = clip.pixels.shape[:2]
    k = clip.masks.shape[1]
    features = encode(model, clip.pixels.flatten(0, 1))
    rows = torch.arange(b, device=clip.pixels.device).repeat_interleave(k) * t
    prompts, scores, shown = _prompts(model, clip, features, rows)
    if clip.chain:
        answers = _chain(model, clip, features, rows, prompts, coin, teacher)
    else:
        answers = _pairs(model, clip, features, rows, prompts, coin)
    return Rollout(answers, scores, shown)


def _truth(clip: Clip, frame: int) -> Tensor:
    """Masks of one frame, (B * K, 1, S, S)."""
    return clip.masks[:, :, frame].flatten(0, 1)[:, None]


def _prompts(
    model: Sam2VideoModel, clip: Clip, features: Features, rows: Tensor
) -> tuple[list[Memory], Tensor, Tensor]:
    """Memories of the labelled frames, encoded in one batch."""
    s, n = clip.supports, len(rows)
    masks = torch.cat([_truth(clip, i) for i in range(s)]).float()
    index = torch.cat([rows + i for i in range(s)])
    memory, score = remember_prompt(model, features[index], masks)
    one_by_one = torch.arange(n, device=rows.device)
    memories = [memory[one_by_one + i * n] for i in range(s)]
    return memories, score, masks.flatten(1).any(1)


def _pairs(
    model: Sam2VideoModel,
    clip: Clip,
    features: Features,
    rows: Tensor,
    prompts: list[Memory],
    coin: torch.Generator,
) -> Answer:
    """Every query sees the prompts alone; all queries in one batch."""
    s, queries, n = clip.supports, clip.pixels.shape[1] - clip.supports, len(rows)
    index = torch.cat([rows + s + q for q in range(queries)])
    repeat = torch.arange(n, device=rows.device).repeat(queries)
    memories = [m[repeat] for m in prompts]
    spread = s > 1 and bool(torch.rand((), generator=coin) < 0.5)
    times = [(s - i) / s if spread else 1.0 for i in range(s)]
    query = features[index]
    top = attend(model, query, memories, [0] * s, times)
    out = decode(model, query, top, None)
    truth = torch.cat([_truth(clip, s + q) for q in range(queries)])
    return Answer(out.logits, out.iou, out.score, truth, clip.valid.flatten().repeat(queries))


def _chain(
    model: Sam2VideoModel,
    clip: Clip,
    features: Features,
    rows: Tensor,
    prompts: list[Memory],
    coin: torch.Generator,
    teacher: float,
) -> Answer:
    """Queries in order; each one's prediction becomes a memory for those after it."""
    s, frames = clip.supports, clip.pixels.shape[1]
    span = 15.0 if torch.rand((), generator=coin) < 0.5 else frames - 1.0
    far = int(torch.randint(0, 8, (), generator=coin)) if span == 15.0 else 0
    own: list[Memory] = []
    found: list[Decoded] = []
    for t in range(s, frames):
        ages = [0] * s + [t - s - i for i in range(len(own))]
        times = [(t - i + far) / span for i in range(s)] + [a / span for a in ages[s:]]
        query = features[rows + t]
        top = attend(model, query, prompts + own, ages, times)
        out = decode(model, query, top, None)
        found.append(out)
        if t < frames - 1:
            true = bool(torch.rand((), generator=coin) < teacher)
            own.append(_own_memory(model, clip, query, out, t, true))
    truth = torch.cat([_truth(clip, t) for t in range(s, frames)])
    logits, iou, score = (
        torch.cat([getattr(f, name) for f in found]) for name in ("logits", "iou", "score")
    )
    return Answer(logits, iou, score, truth, clip.valid.flatten().repeat(frames - s))


def _own_memory(
    model: Sam2VideoModel, clip: Clip, query: Features, out: Decoded, frame: int, true: bool
) -> Memory:
    """Memory of a tracked frame, from the prediction or from the truth."""
    truth = _truth(clip, frame).float()
    if true:
        score = truth.flatten(1).any(1).float() - 0.5
        return remember(model, query.top, truth, score, out.token)
    soft = torch.sigmoid(enlarge(out.logits, truth.shape[-1]))
    seen = (out.score > 0).to(soft.dtype)[:, None, None, None]
    return remember(model, query.top, soft * seen, out.score, out.token)
