"""A scan segmented from labelled slices of its own, each structure seen from as near as possible.

Network and registration see everything on a grid of fixed size. A small structure fills more of it
where only what is around it is looked at. So each small structure is followed alone, by a camera
that goes along with it; the large ones are followed together, on whole slices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from oneslice.camera import Camera
from oneslice.clock import Stopwatch
from oneslice.encoded import EncodedFrames
from oneslice.frames import Frames, structure_masks
from oneslice.fusion import Blend
from oneslice.geometry import Array
from oneslice.outward import Outward
from oneslice.prompting import Match
from oneslice.propagation import SlicePrediction
from oneslice.registration import LOST
from oneslice.sam2.engine import Engine
from oneslice.sam2.state import ABSENT
from oneslice.trail import Trail
from oneslice.volume import Structure

_AROUND = 3.0  # side of what is looked at, in sides of the square around what is labelled
_FARTHER = 1.5  # times the side, for what outgrows it
_LARGEST = 0.8  # of the slices' side; what would be larger is seen on whole slices


@dataclass(frozen=True)
class _Part:
    """Structures that were followed together, and what was found of them.

    Args:
        structures: which of the scan's.
        camera: that showed them.
        trail: what was found.
    """

    structures: list[int]
    camera: Camera
    trail: Trail


@dataclass(frozen=True)
class Follower:
    """Follows structures through a scan.

    Args:
        engine: the SAM 2 engine.
        frames: the N slices of the scan.
        structures: the K structures.
        blend: how the network's masks and the registered ones become one.
        closeup: whether small structures are looked at from near.
        budget: bytes of features that are kept.
        clock: adds up the seconds of each stage.
    """

    engine: Engine
    frames: Frames
    structures: Sequence[Structure]
    blend: Blend
    closeup: bool
    budget: int
    clock: Stopwatch

    def segment(
        self, labelled: Mapping[int, Array], ends: bool, tick: Callable[[float], None]
    ) -> Iterator[SlicePrediction]:
        """Each slice on which some structure is not labelled.

        Args:
            labelled: (rows, columns), labels of some slices. What is on none of them is not found
                anywhere.
            ends: whether structures end where they no longer resemble what was labelled.
            tick: told the share of each slice's work that was done; all is before the first result.
        """
        groups = self._groups(labelled)
        parts = [
            self._follow(group, side, labelled, ends, lambda share: tick(share / len(groups)))
            for group, side in groups
        ]
        for index in range(len(self.frames)):
            if any((part.trail.anchors[index] != index).any() for part in parts):
                yield self._join(index, parts)

    def _groups(self, labelled: Mapping[int, Array]) -> list[tuple[list[int], float]]:
        """Which structures are followed together, and the side in mm of what is looked at."""
        whole = self.frames.letterbox.side
        sides = [_AROUND * self._extent(s, labelled) for s in self.structures]
        shown = [k for k, side in enumerate(sides) if side]
        near = [k for k in shown if self.closeup and sides[k] < _LARGEST * whole]
        far = [k for k in shown if k not in near]
        return [(far, whole)] * bool(far) + [([k], sides[k]) for k in near]

    def _extent(self, structure: Structure, labelled: Mapping[int, Array]) -> float:
        """The longest side of a structure on the labelled slices, mm."""
        spacing = self.frames.letterbox.row_mm, self.frames.letterbox.column_mm
        shown = [labels == structure.value for labels in labelled.values()]
        along = [mask.any(axis) for mask in shown for axis in (1, 0)]
        spans = [np.ptp(np.flatnonzero(line)) + 1 if line.any() else 0 for line in along]
        return max(
            (span * mm for span, mm in zip(spans, spacing * len(shown), strict=True)), default=0.0
        )

    def _follow(
        self,
        group: list[int],
        side: float,
        labelled: Mapping[int, Array],
        ends: bool,
        tick: Callable[[float], None],
    ) -> _Part:
        """Follow structures; what turns out to be too large is followed again from farther away."""
        structures, camera = [self.structures[k] for k in group], Camera(self.frames, side)
        given = {
            index: camera.aim(index, structure_masks(labels, structures))
            for index, labels in labelled.items()
            if np.isin(labels, [s.value for s in structures]).any()
        }
        queries = EncodedFrames(self.engine, camera, self.budget, self.clock)
        blend = replace(self.blend, side=camera.letterbox.side)
        trail = Outward(self.engine, camera, queries, given, blend, self.clock).follow(ends, tick)
        if trail is None:
            return self._follow(group, _FARTHER * side, labelled, ends, tick)
        return _Part(group, camera, trail)

    def _join(self, index: int, parts: Sequence[_Part]) -> SlicePrediction:
        """What was found on a slice; it is let go.

        Where several structures claim a pixel, the odds count that they reach this slice at all.
        """
        count = len(self.structures)
        logits = torch.full((count, *self.frames.slice_shape), ABSENT)
        chosen, distance = torch.full((count,), index), torch.full((count,), LOST)
        certainty, agreement = torch.ones(count), torch.zeros(count)
        for part in parts:
            trail, group = part.trail, part.structures
            for k, found in trail.take(index).items():
                whole = part.camera.restore(index, found[None])[0]
                surer = trail.odds[index, k].clamp(min=0)
                logits[group[k]] = torch.where(whole > 0, whole + surer, whole)
            chosen[group], distance[group] = trail.anchors[index], trail.cost[index]
            certainty[group], agreement[group] = trail.certainty[index], trail.agreement[index]
        return SlicePrediction(index, logits, certainty, Match(chosen, distance), agreement)
