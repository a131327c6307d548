"""A scan followed outward from its own labelled slices.

Neighbouring slices differ little, so within the labelled scan each slice is segmented from the one
before it on the way from the nearest labelled slice: that one's masks are registered onto it and
remembered by the network. The labelled slice itself is registered as well. It keeps the masks from
drifting, and where they no longer resemble each other, the structure has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from oneslice.appearance import SIDE, Appearance, are_large
from oneslice.camera import Camera
from oneslice.clock import Stopwatch
from oneslice.encoded import EncodedFrames
from oneslice.fusion import Blend, overlap
from oneslice.ordering import SHARPNESS
from oneslice.quality import confidence
from oneslice.registration import Described, refine, register
from oneslice.sam2.engine import Engine
from oneslice.sam2.state import Memory, Prediction, Remembered
from oneslice.trail import Step, Trail
from oneslice.transform import warp
from oneslice.voting import vote

_FAR = 0.005  # what the labelled slice costs more than the one before
_SMALLEST = 4  # pixels of a mask that can be followed


class Outward:
    """Segments a scan from its own labelled slices.

    Args:
        engine: the SAM 2 engine.
        camera: shows the N slices; it goes along with what is followed.
        queries: what it shows.
        given: masks (K, S, S), 0 or 1, of slices that are labelled, as the camera shows them. Each
            structure is on one at least.
        blend: how the network's masks and the registered ones become one.
        clock: adds up the seconds of each stage.
    """

    def __init__(
        self,
        engine: Engine,
        camera: Camera,
        queries: EncodedFrames,
        given: Mapping[int, Tensor],
        blend: Blend,
        clock: Stopwatch,
    ) -> None:
        self._engine, self._camera, self._queries = engine, camera, queries
        self._given, self._blend, self._clock = given, blend, clock
        areas = {index: masks.float().sum((1, 2)) for index, masks in given.items()}
        self._anchors = _nearest({index: area > 0 for index, area in areas.items()}, len(queries))
        radii = (torch.stack([*areas.values()]).amax(0) / torch.pi).sqrt()  # pixels
        self._trail = Trail(self._anchors, radii / camera.step)
        self._appearance = Appearance(self._anchors.shape[1])
        self._described: dict[int, Described] = {}
        self._memories: dict[tuple[int, int], Memory] = {}  # of labelled slices and structures

    def follow(self, ends: bool, tick: Callable[[float], None]) -> Trail | None:
        """Go through all slices.

        Args:
            ends: whether structures end where they no longer resemble what was labelled.
            tick: told the share of each slice's work that was done.

        Returns:
            What was found; None if it outgrows what the camera shows.
        """
        for index, masks in self._given.items():
            small = F.adaptive_avg_pool2d(masks.float(), SIDE)
            self._appearance.see(self._queries.image(index), small)
        forward = range(len(self._anchors))
        if not all(self._walk(order, ends, tick) for order in (forward, forward[::-1])):
            return None
        if ends:
            self._trail.end()
        return self._trail

    def _walk(self, order: range, ends: bool, tick: Callable[[float], None]) -> bool:
        """Go through the slices one way, and follow what was labelled before each on this way.

        Returns:
            Whether all fits into what the camera shows.
        """
        size = self._engine.image_size
        masks = torch.zeros(self._anchors.shape[1], size, size)
        for index in order:
            steps = (index - self._anchors[index]) * order.step  # from the labelled slice
            active = [k for k in (steps > 0).nonzero()[:, 0].tolist() if masks[k].any()]
            if active:
                masks[active] = self._step(index, index - order.step, active, masks[active])
                if masks[active].any() and self._camera.is_full(masks[active]):
                    return False
            for structure in active:
                if ends and self._trail.is_over(index, structure):
                    masks[structure] = 0
            for structure in (steps == 0).nonzero()[:, 0].tolist():
                masks[structure] = self._given[index][structure]
            self._forget(index)
            tick(float((steps.sign() + 1).float().mean() / 2))  # the rest on the other way
        return True

    def _step(self, index: int, before: int, active: list[int], masks: Tensor) -> Tensor:
        """Segment the active structures on a slice, from their masks on the one before it.

        Returns:
            Their masks (k, S, S); none where too little was found.
        """
        self._camera.follow(index, before, masks)
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
        logits, passed = self._blended(prediction, carried, said)
        found = (logits > 0).float()
        seen = prediction.score.sigmoid() * prediction.iou
        agreement = overlap(moved[len(active) :], found)
        certainty = confidence(prediction, found.flatten(1).any(1), agreement)
        self._trail.note(index, active, Step(logits, certainty, seen, agreement, costs[1]))
        return passed * (passed.sum((1, 2)) >= _SMALLEST)[:, None, None]

    def _blended(
        self, prediction: Prediction, carried: Tensor, said: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits (k, S, S), and the masks that the next slice is told of.

        Of a large structure nothing is passed on that only intensities speak for: from slice to
        slice it would spread into all that is as bright.
        """
        logits, _ = self._blend(prediction, carried, said)
        found = (logits > 0).float()
        large = are_large(found, self._blend.side / found.shape[-1])[:, None, None]
        if not large.any():
            return logits, found
        surer, _ = self._blend(prediction, carried, torch.where(large, said.clamp(max=0), said))
        return logits, (surer > 0).float()

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


def _nearest(shown: Mapping[int, Tensor], count: int) -> Tensor:
    """(N, K): the nearest slice that shows each structure, the first of two, given (K,) of some."""
    positions = torch.tensor(sorted(shown))
    where = torch.stack([shown[int(index)] for index in positions])
    away = (torch.arange(count)[:, None] - positions).abs()
    far = torch.where(where, away[..., None], 2 * count)
    return positions[far.argmin(1)]
