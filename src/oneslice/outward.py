"""A scan followed outward from its own labelled slices.

Neighbouring slices differ little, so within the labelled scan each slice is segmented from the one
before it on the way from the nearest labelled slice: that one's masks are registered onto it and
remembered by the network. The labelled slice itself is registered as well. It keeps the masks from
drifting, and where they no longer resemble each other, the structure has ended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from oneslice.appearance import SIDE, Appearance
from oneslice.clock import Stopwatch
from oneslice.crop import Crop
from oneslice.encoded import EncodedFrames
from oneslice.fusion import Blend, overlap
from oneslice.geometry import Array
from oneslice.ordering import SHARPNESS
from oneslice.presence import evidence_followed, reach
from oneslice.prompting import Match
from oneslice.propagation import SlicePrediction
from oneslice.quality import confidence
from oneslice.registration import LOST, Described, refine, register
from oneslice.sam2.engine import Engine
from oneslice.sam2.state import ABSENT, Memory, Remembered
from oneslice.transform import warp
from oneslice.voting import vote

_FAR = 0.02  # what the labelled slice costs more than the one before
_GIVE_UP = 15.0  # evidence (log odds) against a structure, beyond which it is not followed
_SMALLEST = 4  # pixels of a mask that can be followed


class Outward:
    """Segments a scan from its own labelled slices.

    Args:
        engine: the SAM 2 engine.
        queries: the N slices.
        given: masks (K, S, S), 0 or 1, of those that are labelled. What is on none of them is not
            found anywhere.
        blend: how the network's masks and the registered ones become one.
        step: from slice to slice, in pixels of the frames.
        ends: whether structures end where they no longer resemble what was labelled.
        clock: adds up the seconds of each stage.
    """

    def __init__(
        self,
        engine: Engine,
        queries: EncodedFrames,
        given: Mapping[int, Tensor],
        blend: Blend,
        step: float,
        ends: bool,
        clock: Stopwatch,
    ) -> None:
        self._engine, self._queries, self._given = engine, queries, given
        self._blend, self._ends, self._clock = blend, ends, clock
        areas = {index: masks.float().sum((1, 2)) for index, masks in given.items()}
        self._anchors = _nearest({index: area > 0 for index, area in areas.items()}, len(queries))
        self._radii = (torch.stack([*areas.values()]).amax(0) / torch.pi).sqrt() / step  # slices
        self._appearance = Appearance(self._anchors.shape[1])
        self._described: dict[int, Described] = {}
        self._memories: dict[tuple[int, int], Memory] = {}  # of labelled slices and structures
        self._crops: list[dict[int, Crop]] = [{} for _ in self._anchors[0]]  # of each structure
        self._certainty = torch.ones(self._anchors.shape)
        self._seen = torch.zeros(self._anchors.shape)  # probability times predicted IoU
        self._agreement = torch.zeros(self._anchors.shape)
        self._costs = torch.full(self._anchors.shape, LOST)

    def segment(self, tick: Callable[[], None]) -> Iterator[SlicePrediction]:
        """Each slice on which some structure is not given; all are ticked before the first."""
        for index, masks in self._given.items():
            small = F.adaptive_avg_pool2d(masks.float(), SIDE)
            self._appearance.see(self._queries.image(index), small)
        count, structures = self._anchors.shape
        self._follow(range(count), tick)
        self._follow(range(count - 1, -1, -1), lambda: None)
        for structure in range(structures if self._ends else 0):
            self._end(structure)
        for index in range(count):
            if (self._anchors[index] != index).any():
                yield self._result(index)

    def _follow(self, order: range, tick: Callable[[], None]) -> None:
        """Go through the slices one way, and follow what was labelled before each on this way."""
        size = self._engine.image_size
        masks = torch.zeros(self._anchors.shape[1], size, size)
        for index in order:
            steps = (index - self._anchors[index]) * order.step  # from the labelled slice
            active = [k for k in (steps > 0).nonzero()[:, 0].tolist() if masks[k].any()]
            if active:
                masks[active] = self._step(index, index - order.step, active, masks[active])
            for structure in active:
                if self._ends and self._is_over(index, structure):
                    masks[structure] = 0
            for structure in (steps == 0).nonzero()[:, 0].tolist():
                masks[structure] = self._given[index][structure]
            self._forget(index)
            if (steps != 0).any():
                tick()

    def _is_over(self, index: int, structure: int) -> bool:
        """Whether it is clear on this slice that a structure has ended before."""
        way = next((way for way in self._ways(structure) if index in way), range(0))
        total = self._evidence(structure, way).cumsum()
        return bool(len(total)) and total.max(initial=0.0) - total[-1] > _GIVE_UP

    def _end(self, structure: int) -> None:
        """Let a structure end, both ways."""
        for way in self._ways(structure):
            odds = self._evidence(structure, way)
            last = reach(odds)
            for index, against in zip(way[last:], odds[last:], strict=False):
                del self._crops[structure][index]
                self._certainty[index, structure] = 1 / (1 + math.exp(against))

    def _ways(self, structure: int) -> tuple[range, range]:
        """The slices on both sides of all that are labelled, from there on."""
        first, last = self._anchors[[0, -1], structure].tolist()
        return range(first - 1, -1, -1), range(last + 1, len(self._anchors))

    def _evidence(self, structure: int, way: range) -> Array:
        """Log odds that a structure is on the slices of a way, as far as it was followed.

        The standard is set by all slices on which it was.
        """
        known = list(self._crops[structure])
        if not known:
            return np.zeros(0)
        agreement, seen = (a[known, structure] for a in (self._agreement, self._seen))
        middle = self._anchors[[0, -1], structure].float().mean()
        away = (torch.tensor(known) - middle).abs() / self._radii[structure]
        odds = evidence_followed(agreement.numpy(), seen.numpy(), away.numpy())
        found = dict(zip(known, odds, strict=True))
        return np.array([found[index] for index in way if index in found])

    def _step(self, index: int, before: int, active: list[int], masks: Tensor) -> Tensor:
        """Segment the active structures on a slice, from their masks on the one before it.

        Returns:
            Their masks (k, S, S); none where too little was found.
        """
        anchors = self._anchors[index, active].tolist()
        pairs = zip(anchors, active, strict=True)
        labelled = torch.stack([self._given[n][k] for n, k in pairs]).float()
        with self._clock.stage("registration"):
            moved, misfit, costs = self._register(index, before, anchors, masks, labelled)
            costlier = costs + torch.tensor([[0.0], [_FAR]])
            weights = torch.softmax(-SHARPNESS * costlier, 0).flatten()
            place = torch.arange(len(active)).repeat(2)
            carried = vote(moved, misfit, weights, place, len(active))
        image = self._queries.image(index)
        context = [
            Remembered(self._recall(anchors, active), 2, prompted=True),
            Remembered(self._remember(before, masks), 1, prompted=False),
        ]
        features = self._queries.features([index])
        prediction = self._engine.segment(features, [0] * len(active), context, 3)
        said = self._appearance.evidence(image)[active]
        logits, _ = self._blend(prediction, carried, said)
        found = (logits > 0).float()
        self._certainty[index, active] = confidence(prediction, self._blend.presence).cpu()
        self._seen[index, active] = (prediction.score.sigmoid() * prediction.iou).cpu()
        self._agreement[index, active] = overlap(moved[len(active) :], found)
        self._costs[index, active] = costs[1]
        for n, structure in enumerate(active):
            self._crops[structure][index] = Crop.of(logits[n])
        return found * (found.sum((1, 2)) >= _SMALLEST)[:, None, None]

    def _register(
        self, index: int, before: int, anchors: list[int], masks: Tensor, labelled: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Masks of the slice before and of the labelled ones on this slice.

        Returns:
            Moved masks (2k, S, S), their misfits (2k, n, n), and the costs (2, k).
        """
        sources = [before, *dict.fromkeys(n for n in anchors if n != before)]
        place = torch.tensor([0] * len(anchors) + [sources.index(n) for n in anchors])
        query, shown = self._describe([index] * len(sources)), self._describe(sources)
        both, whole = torch.cat([masks, labelled]), register(query, shown, same_scan=True)
        refined = refine(query, shown, whole, place, both)
        grid = whole.select(place).after(refined.local, both.shape[-1])
        moved = warp(both[:, None], grid)[:, 0]
        return moved, refined.misfit, refined.cost.view(2, -1)

    def _describe(self, indices: list[int]) -> Described:
        for index in indices:
            if index not in self._described:
                self._described[index] = Described.of(self._queries.image(index)[None])
        return Described.stack([self._described[index] for index in indices])

    def _forget(self, index: int) -> None:
        """Drop the description of all slices but this one and those it is followed from."""
        kept = {index, *self._anchors[index].tolist()}
        self._described = {n: d for n, d in self._described.items() if n in kept}

    def _recall(self, anchors: list[int], structures: list[int]) -> Memory:
        for index, structure in zip(anchors, structures, strict=True):
            if (index, structure) not in self._memories:
                memory = self._remember(index, self._given[index][[structure]])
                self._memories[index, structure] = memory
        return Memory.stack([self._memories[key] for key in zip(anchors, structures, strict=True)])

    def _remember(self, index: int, masks: Tensor) -> Memory:
        return self._engine.remember(self._queries.features([index] * len(masks)), masks)

    def _result(self, index: int) -> SlicePrediction:
        """What was found on a slice; it is let go."""
        size, match = self._engine.image_size, Match(self._anchors[index], self._costs[index])
        logits = torch.full((len(self._crops), size, size), ABSENT)
        for structure, crops in enumerate(self._crops):
            if crop := crops.pop(index, None):
                logits[structure] = crop.restore()
        return SlicePrediction(index, logits, self._certainty[index], match, self._agreement[index])


def _nearest(shown: Mapping[int, Tensor], count: int) -> Tensor:
    """(N, K): the nearest slice that shows each structure, the first of two, given (K,) of some."""
    positions = torch.tensor(sorted(shown))
    where = torch.stack([shown[int(index)] for index in positions])
    away = (torch.arange(count)[:, None] - positions).abs()
    far = torch.where(where, away[..., None], 2 * count)
    return positions[far.argmin(1)]
