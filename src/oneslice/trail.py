"""What was found of structures on their way through their own scan, and where they end."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from oneslice.crop import Crop
from oneslice.geometry import Array
from oneslice.presence import evidence_followed, reach
from oneslice.registration import LOST

_GIVE_UP = 15.0  # evidence (log odds) against a structure, beyond which it is not followed


@dataclass(frozen=True)
class Step:
    """What was found of k structures on one slice.

    Args:
        logits: (k, S, S).
        certainty: (k,) in [0, 1], how far the masks can be trusted.
        seen: (k,), its probability that they are there, times the predicted IoU.
        agreement: (k,), 0 to 1, with the registered labelled slices.
        cost: (k,) of that registration.
    """

    logits: Tensor
    certainty: Tensor
    seen: Tensor
    agreement: Tensor
    cost: Tensor


class Trail:
    """K structures on N slices.

    Args:
        anchors: (N, K), the labelled slices that they are followed from.
        radii: (K,), those of what is labelled, in slices.
    """

    def __init__(self, anchors: Tensor, radii: Tensor) -> None:
        self.anchors, self._radii = anchors, radii
        self._crops: list[dict[int, Crop]] = [{} for _ in anchors[0]]  # of each structure
        self.certainty = torch.ones(anchors.shape)
        self._seen = torch.zeros(anchors.shape)
        self.agreement = torch.zeros(anchors.shape)
        self.cost = torch.full(anchors.shape, LOST)
        self.odds = torch.zeros(anchors.shape)  # that they are there, where that was asked

    def note(self, index: int, structures: list[int], step: Step) -> None:
        """Keep what was found of some structures on a slice."""
        self.certainty[index, structures] = step.certainty.cpu()
        self._seen[index, structures] = step.seen.cpu()
        self.agreement[index, structures] = step.agreement
        self.cost[index, structures] = step.cost
        for logits, structure in zip(step.logits, structures, strict=True):
            self._crops[structure][index] = Crop.of(logits)

    def is_over(self, index: int, structure: int) -> bool:
        """Whether it is clear on this slice that a structure has ended before."""
        way = next((way for way in self._ways(structure) if index in way), range(0))
        total = self._evidence(structure, way).cumsum()
        return bool(len(total)) and total.max(initial=0.0) - total[-1] > _GIVE_UP

    def end(self) -> None:
        """Let each structure end, both ways."""
        for structure in range(len(self._crops)):
            for way in self._ways(structure):
                odds = self._evidence(structure, way)
                last = reach(odds)
                for distance, (index, value) in enumerate(zip(way, odds, strict=False)):
                    self.odds[index, structure] = float(value)
                    if distance >= last:
                        del self._crops[structure][index]
                        self.certainty[index, structure] = 1 / (1 + math.exp(value))

    def _ways(self, structure: int) -> tuple[range, range]:
        """The slices on both sides of all that are labelled, from there on."""
        first, last = self.anchors[[0, -1], structure].tolist()
        return range(first - 1, -1, -1), range(last + 1, len(self.anchors))

    def _evidence(self, structure: int, way: range) -> Array:
        """Log odds that a structure is on the slices of a way, as far as it was followed.

        The standard is set by all slices on which it was.
        """
        known = list(self._crops[structure])
        if not known:
            return np.zeros(0)
        agreement, seen = (a[known, structure] for a in (self.agreement, self._seen))
        labelled, radius = self.anchors[:, structure].unique(), float(self._radii[structure])
        first, last = labelled[[0, -1]].tolist()
        away = (torch.tensor(known) - (first + last) / 2).abs() / radius
        apart = (last - first) / max(1, len(labelled) - 1) / radius
        odds = evidence_followed(agreement.numpy(), seen.numpy(), away.numpy(), apart)
        found = dict(zip(known, odds, strict=True))
        return np.array([found[index] for index in way if index in found])

    def take(self, index: int) -> dict[int, Tensor]:
        """Logits (S, S) of the structures that were found on a slice; they are let go."""
        held = [(k, crops.pop(index, None)) for k, crops in enumerate(self._crops)]
        return {k: crop.restore() for k, crop in held if crop}
