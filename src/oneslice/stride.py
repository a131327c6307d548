"""Thin slices: some of them are looked at, and shapes are interpolated between these.

Slices much closer to each other than what can be told apart within them show the same again. To
look at each of them takes longer, and what is found is no better for it (docs/tried.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import ndimage

from oneslice.geometry import Array, Geometry, SliceView
from oneslice.region import Region
from oneslice.segmentation import Segmentation
from oneslice.support import Support, all_structures

_CELLS = 64  # of the side of the slices; those looked at lie about as far apart as one is wide
_FEWEST = 10  # slices that are looked at in any scan that has so many


@dataclass(frozen=True)
class Stride:
    """Which slices of a scan are looked at.

    Args:
        axis: the slice axis of the scan's array.
        first: the first of them along this axis.
        step: from one to the next; 1: all are.
    """

    axis: int
    first: int
    step: int

    @classmethod
    def over(cls, geometry: Geometry, view: SliceView, supports: Sequence[Support]) -> Stride:
        """As far apart as a cell, or the radius of the smallest structure; not too few are seen."""
        axis, *within = view.axes
        side = max(geometry.shape[a] * geometry.spacing[a] for a in within)
        structures = all_structures(supports)
        radius = min(max(support.radius(s) for support in supports) for s in structures)
        count, slice_mm = geometry.shape[axis], geometry.spacing[axis]
        step = max(1, min(round(min(side / _CELLS, radius) / slice_mm), count // _FEWEST))
        left = (count - 1) % step
        return cls(axis, left - left // 2 if view.flips[0] else left // 2, step)

    @property
    def region(self) -> Region:
        """The part of the scan's array that is looked at."""
        box = [slice(None)] * 3
        box[self.axis] = slice(self.first, None, self.step)
        return Region((box[0], box[1], box[2]))

    def fill(self, found: Segmentation, geometry: Geometry) -> Segmentation:
        """What was found on some slices, on all slices of a scan.

        A slice between them is as certain as the nearest; those beyond them are like the outermost.
        """
        count = geometry.shape[self.axis]
        seen = np.arange(self.first, count, self.step)
        nearest = np.abs(np.arange(count)[:, None] - seen).argmin(1)
        slices = np.moveaxis(found.array, self.axis, 0)
        filled, pixel_mm = slices[nearest], np.delete(geometry.spacing, self.axis)
        for number, before in enumerate(seen[:-1]):
            between = filled[before + 1 : before + self.step]
            between[:] = interpolate(slices[number], slices[number + 1], len(between), pixel_mm)
        labels = replace(found.labels, array=np.moveaxis(filled, 0, self.axis), geometry=geometry)
        record = found.record | {"slices": self._all(found.record["slices"], count)}
        return replace(found, labels=labels, confidence=found.confidence[nearest], record=record)

    def _all(self, entries: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
        """What the record says of all slices, from what it says of some."""
        every = [{"slice": position, "interpolated": True} for position in range(count)]
        for entry, position in zip(entries, range(self.first, count, self.step), strict=True):
            every[position] = entry | {"slice": position}
        return every


def interpolate(a: Array, b: Array, count: int, pixel_mm: Array) -> Array:
    """Labels (count, rows, columns) of slices evenly between two, from their labels.

    The outline of a structure on both moves as the distance to it does (Raya and Udupa,
    "Shape-based interpolation of multidimensional objects", IEEE Transactions on Medical Imaging
    1990); one that is on one of them reaches half the way. Of several that claim a pixel, the one
    that it is the deepest in has it.
    """
    found = np.zeros((count, *a.shape), a.dtype)
    deepest = np.zeros(found.shape)
    steps, whole = np.arange(1, count + 1)[:, None, None], count + 1
    for value in np.union1d(a, b)[np.union1d(a, b) > 0]:
        masks = a == value, b == value
        weight = steps
        if not all(mask.any() for mask in masks):
            nearer = 2 * steps > whole if masks[0].any() else 2 * steps >= whole
            weight = np.where(nearer, whole, 0)
        box = _around(masks[0] | masks[1])
        one, other = (_depth(mask[box], pixel_mm) for mask in masks)
        depth = (whole - weight) * one + weight * other
        part = (slice(None), *box)
        found[part] = np.where(depth > deepest[part], value, found[part])
        deepest[part] = np.maximum(deepest[part], depth)
    return found


def _around(mask: Array) -> tuple[slice, slice]:
    """Rows and columns that show a mask, and one more on each side."""
    shown = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    rows, columns = (slice(max(0, int(n[0]) - 1), int(n[-1]) + 2) for n in shown)
    return rows, columns


def _depth(mask: Array, pixel_mm: Array) -> Array:
    """How deep within a mask each pixel is, mm; negative outside."""
    if not mask.any():
        return np.full(mask.shape, -1.0)
    inside, outside = (ndimage.distance_transform_edt(m, pixel_mm) for m in (mask, ~mask))
    return np.asarray(inside - outside)
