"""The part of the slices that shows the body: what is empty around it is cut off.

The wider the field of view, the coarser the body is seen on a grid of fixed size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from oneslice.geometry import Array, SliceView
from oneslice.region import Region
from oneslice.settings import Settings
from oneslice.support import Support, by_image
from oneslice.volume import Volume

_DARK = 0.1  # of the window; what is no brighter is empty
_GRID = 128  # pixels; what is thinner than three of them is no body: a table, a wire, noise
_SLICES = 16  # how many are looked at
_MARGIN = 1.06  # side of the part, in those of the body
_LARGEST = 0.9  # of the slices' side; what would be larger is left whole


@dataclass(frozen=True, eq=False)
class Body:
    """The part of some supports' scans that shows the body, and of other scans.

    Args:
        supports: that part of each.
        settings: how slices are shown.
    """

    supports: tuple[Support, ...]
    settings: Settings

    @classmethod
    def of(cls, supports: Sequence[Support], settings: Settings) -> Body | None:
        """None if something is labelled outside of the body, as an arm may be."""
        cut: dict[Support, Support] = {}
        for shown in by_image(supports):
            image, view = shown[0].image, shown[0].view_along(supports[0].directions)
            region = body_region(image, view, settings)
            part = region.cut(image) if region else image
            cut |= {s: region.cut_support(s, part) if region else s for s in shown}
        if any((s.labels.array != 0).sum() > (cut[s].labels.array != 0).sum() for s in supports):
            return None
        return cls(tuple(cut[support] for support in supports), settings)

    def find(self, volume: Volume, view: SliceView) -> Region | None:
        """The part of another scan that shows the body; None: all of it does."""
        return body_region(volume, view, self.settings)


def body_region(volume: Volume, view: SliceView, settings: Settings) -> Region | None:
    """The part of a scan that shows the body; None where that is nearly all of it."""
    frames = settings.frames(volume, view, _GRID)
    some = np.unique(np.linspace(0, len(frames) - 1, _SLICES).round().astype(int))
    shown = np.any([_thick(frames[index][0].numpy() > _DARK) for index in some.tolist()], 0)
    if not shown.any():
        return None
    ends = np.array([np.flatnonzero(shown.any(axis))[[0, -1]] + (0, 1) for axis in (1, 0)])
    share = _MARGIN * np.diff(ends).max() / _GRID
    if share > _LARGEST:
        return None
    box = frames.letterbox
    return Region.around(volume, view, box.position(ends.mean(1)), share * box.side)


def _thick(bright: Array) -> Array:
    """What is bright (S, S) without what is thin."""
    return np.asarray(ndimage.binary_opening(bright, np.ones((3, 3))))
