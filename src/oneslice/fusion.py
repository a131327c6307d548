"""From masks of several structures and sources to one label map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from oneslice.appearance import within_reach
from oneslice.geometry import Array
from oneslice.sam2.state import Prediction
from oneslice.volume import Structure

_OPEN = -0.7  # the least log odds of both masks where intensities lead on broadly
_MOST = 0.5  # of what a structure claims
_LARGER = 2.0  # times as large a claim is another's


@dataclass(frozen=True)
class Blend:
    """Makes one mask of the network's, the registered one, and what intensities say.

    Args:
        side: mm that the frame's side measures, to tell large structures by.
        weight: 0 to 1, of the registered masks; SAM 2's probabilities have the rest.
        appearance: weight of the intensities' evidence beside both; 0: it is not asked.
        veto: whether what the network calls absent counts against the registered masks too. Without
            it they then speak alone, if at all: the network may not know a structure in this scan's
            contrast.
    """

    side: float
    weight: float = 0.0
    appearance: float = 0.0
    veto: bool = True

    def __call__(
        self, prediction: Prediction, carried: Tensor | None, evidence: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Logits (K, h, w), on the finer grid of the two, and the agreement (K,) of the masks.

        Args:
            prediction: the network's, of K structures.
            carried: (K, S, S) in [0, 1], registered masks; None: the network speaks alone.
            evidence: (K, n, n) log odds of the intensities, on a coarser grid.
        """
        logits = prediction.logits.cpu()
        if carried is None:
            return logits, None
        size = carried.shape[-2:]
        fine = F.interpolate(logits[None], size, mode="bilinear", align_corners=False)[0]
        found = torch.sigmoid(fine)
        weight = self._weights(prediction.score.cpu())[:, None, None]
        mixed = (1 - weight) * found + weight * carried
        blended, agreement = torch.logit(mixed, eps=1e-6), overlap(found, carried)
        if evidence is None or not self.appearance:
            return blended, agreement
        count = evidence.shape[-1]
        near, broad = within_reach(evidence, F.adaptive_avg_pool2d(mixed, count), self.side / count)
        said, wide = (
            F.interpolate(each[None].float(), size, mode="bilinear", align_corners=False)[0]
            for each in (near, broad)
        )
        open_minded = torch.where(wide > 0.5, blended.clamp(min=_OPEN), blended)
        return open_minded + self.appearance * said, agreement

    def _weights(self, score: Tensor) -> Tensor:
        """(K,), of the registered masks, given object scores (K,)."""
        alone = (score <= 0) & (not self.veto and self.weight > 0)
        return torch.where(alone, 1.0, self.weight)


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """The soft Jaccard index (K,) of masks (K, h, w) in [0, 1]."""
    common = (a * b).sum((1, 2))
    return common / (a.sum((1, 2)) + b.sum((1, 2)) - common).clamp(min=1e-6)


def shared(masks: Tensor) -> Tensor:
    """(K, K): how much of the larger of two masks (K, h, w) is in both; 0 for one and itself."""
    flat = masks.flatten(1).float()
    areas = flat.sum(1)
    common = flat @ flat.T / torch.maximum(areas[:, None], areas).clamp(min=1)
    return common.fill_diagonal_(0)


def fuse(logits: Tensor, structures: Sequence[Structure]) -> tuple[Array, Array]:
    """Labels (rows, columns): per pixel the structure with the largest logit, if that is above 0.

    The background competes with a logit of 0. No structure is lost in a much larger one.

    Returns:
        Those labels, and those of the runners-up.
    """
    top = logits.topk(min(2, len(logits)), 0)
    values = torch.tensor([s.value for s in structures], device=logits.device)
    ranked = torch.where(top.values > 0, values[top.indices], 0).cpu().numpy().astype(np.uint16)
    return _spare_small(*ranked) if len(ranked) > 1 else (ranked[0], np.zeros_like(ranked[0]))


def _spare_small(first: Array, second: Array) -> tuple[Array, Array]:
    """Winners and runners-up; the smaller of two structures wins where it would else be lost.

    A mask that spreads into a neighbour covers most of it, but is much larger itself. What both
    claim is the neighbour's then, whichever of them is the more certain.
    """
    contested = (first > 0) & (second > 0)
    claims = np.bincount(np.concatenate([first[first > 0], second[second > 0]]))
    low, high = np.minimum(first, second), np.maximum(first, second)
    winners, runners_up = first.copy(), second.copy()
    for pair in np.unique(np.stack([low[contested], high[contested]], 1), axis=0):
        small, large = sorted(pair, key=lambda value: claims[value])
        both = contested & (low == pair[0]) & (high == pair[1])
        if both.sum() > _MOST * claims[small] and claims[large] >= _LARGER * claims[small]:
            winners[both], runners_up[both] = small, large
    return winners, runners_up


def clear_absent(
    labels: Array, second: Array, present: Array, structures: Sequence[Structure]
) -> Array:
    """Labels (N, rows, columns) in which absent structures give way to the runners-up.

    Args:
        labels: of the winners.
        second: of the runners-up.
        present: (N, K), which structures are on which slices.
        structures: the K structures.
    """
    there = np.zeros((len(labels), max(s.value for s in structures) + 1), bool)
    there[:, 0] = True
    there[:, [s.value for s in structures]] = present
    slices = np.arange(len(labels))[:, None, None]
    fallback = np.where(there[slices, second], second, 0)
    return np.where(there[slices, labels], labels, fallback).astype(labels.dtype)


def remove_fragments(labels: Array, fraction: float) -> Array:
    """Clear every 3D component smaller than ``fraction`` of its structure's largest one.

    Components are 26-connected.
    """
    import cc3d

    components = cc3d.connected_components(labels, connectivity=26)
    sizes = np.bincount(components.ravel())
    owner = np.zeros(len(sizes), np.int64)
    owner[components.ravel()] = labels.ravel()
    largest = np.array([sizes[owner == value].max(initial=0) for value in range(owner.max() + 1)])
    keep = sizes >= fraction * largest[owner]
    return np.where(keep[components], labels, 0).astype(labels.dtype)
