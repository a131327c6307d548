"""The part of the slices in which structures lie: only it is looked at, enlarged.

Registration and network see every slice on a grid of fixed size. Where the structures fill a part
of the slices alone (a heart in a chest), the rest is cut off, so that more of the grid is theirs.
In the supports labels show this part; in another scan it is found by registration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from oneslice.body import body_region
from oneslice.geometry import Array, SliceView
from oneslice.region import Region
from oneslice.registration import LOST, Described, refine, register
from oneslice.settings import Settings
from oneslice.support import Support, by_image
from oneslice.transform import warp
from oneslice.volume import Volume

_MARGIN = 1.8  # side of the part, in sides of the square around all that is labelled
_SMALLEST, _LARGEST = 0.5, 0.8  # of the whole; what would be larger is no close-up
_SUPPORTS, _SLICES = 3, 6  # how many slices are compared to find the part
_GRID = 192  # pixels of these


@dataclass(frozen=True, eq=False)
class CloseUp:
    """The part of some supports' scans, and how it is found in other scans.

    Args:
        supports: that part of each.
        side: of the part, mm.
        described: some of the labelled slices, whole.
        boxes: (M, S, S), 0 or 1, what is labelled in their scans, as rectangles.
        settings: how slices are shown.
    """

    supports: tuple[Support, ...]
    side: float
    described: Described
    boxes: Tensor
    settings: Settings

    @classmethod
    def of(cls, supports: Sequence[Support], settings: Settings) -> CloseUp | None:
        """None if what is labelled fills so much of the slices that they are looked at whole."""
        scans = tuple(
            _Scan.of(shown, supports[0].directions, settings) for shown in by_image(supports)
        )
        if any(_MARGIN * scan.extent > _LARGEST * scan.whole for scan in scans):
            return None
        side = max(max(_MARGIN * scan.extent, _SMALLEST * scan.whole) for scan in scans)
        cut = tuple(part for scan in scans for part in scan.cut(side))
        shown = [(scan, position) for scan in scans for position in scan.positions]
        chosen = np.unique(np.linspace(0, len(shown) - 1, _SUPPORTS).round().astype(int))
        images, boxes = zip(*(shown[n][0].show(shown[n][1], settings) for n in chosen), strict=True)
        described = Described.of(torch.stack(images))
        return cls(cut, side, described, torch.cat(boxes), settings)

    def find(self, volume: Volume, view: SliceView) -> Region | None:
        """The part of another scan that shows what is labelled; None: it was not found."""
        frames = self.settings.frames(volume, view, _GRID)
        some = np.unique(np.linspace(0, len(frames) - 1, _SLICES).round().astype(int))
        found = (self._place(frames[index]) for index in some.tolist())
        costs, places = map(np.array, zip(*found, strict=True))
        good = (costs <= np.median(costs)) & (costs < LOST)
        if not good.any():
            return None
        centre = np.median(places[good], 0)
        region = Region.around(volume, view, frames.letterbox.position(centre), self.side)
        return None if region.is_blank(volume) else region

    def _place(self, frame: Tensor) -> tuple[float, Array]:
        """What it costs to register the best of the slices onto a frame, and where it then is."""
        count = len(self.boxes)
        query = Described.of(frame[None]).select([0] * count)
        whole = register(query, self.described)
        refined = refine(query, self.described, whole, torch.arange(count), self.boxes)
        best = [int(refined.cost.argmin())]
        cost = float(refined.cost[best])
        if cost >= LOST:
            return cost, np.full(2, _GRID / 2)
        grid = whole.select(best).after(refined.local.select(best), _GRID)
        moved = warp(self.boxes[best][:, None], grid)[0, 0]
        axis = torch.arange(_GRID) + 0.5
        total = moved.sum()
        return cost, np.array([float((moved.sum(d) * axis).sum() / total) for d in (1, 0)])


@dataclass(frozen=True)
class _Scan:
    """What is labelled in one scan.

    Args:
        supports: of the scan.
        view: how it is read.
        whole: the longer side in mm of the slices, or of the part of them that shows the body.
        box: rows and columns that show all that is labelled: top, bottom, left and right.
        positions: of the labelled slices.
    """

    supports: tuple[Support, ...]
    view: SliceView
    whole: float
    box: tuple[int, int, int, int]
    positions: tuple[int, ...]

    @classmethod
    def of(cls, supports: Sequence[Support], directions: Array, settings: Settings) -> _Scan:
        image, view = supports[0].image, supports[0].view_along(directions)
        body = body_region(image, view, settings)
        geometry = body.cut(image).geometry if body else image.geometry
        whole = max(geometry.shape[a] * geometry.spacing[a] for a in view.axes[1:])
        shown = np.any([view.to_slices(s.labels.array) != 0 for s in supports], 0)
        rows, columns = (np.flatnonzero(shown.any((0, axis))) for axis in (2, 1))
        box = (int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)
        positions = tuple(np.flatnonzero(shown.any((1, 2))).tolist())
        return cls(tuple(supports), view, whole, box, positions)

    @property
    def image(self) -> Volume:
        return self.supports[0].image

    @property
    def extent(self) -> float:
        """The side in mm of the square around all that is labelled."""
        _, row_mm, column_mm = self.view.spacing(self.image.geometry)
        top, bottom, left, right = self.box
        return max((bottom - top) * row_mm, (right - left) * column_mm)

    def cut(self, side: float) -> list[Support]:
        """The part of each support with what is labelled in its middle."""
        top, bottom, left, right = self.box
        centre = np.array([(top + bottom) / 2, (left + right) / 2])
        region = Region.around(self.image, self.view, centre, side)
        image = region.cut(self.image)
        return [region.cut_support(support, image) for support in self.supports]

    def show(self, position: int, settings: Settings) -> tuple[Tensor, Tensor]:
        """A whole slice (1, S, S), and what is labelled in the scan (1, S, S) as a rectangle."""
        frames = settings.frames(self.image, self.view, _GRID)
        box = torch.zeros(1, *frames.slice_shape)
        top, bottom, left, right = self.box
        box[:, top:bottom, left:right] = 1
        return frames[position], frames.letterbox.fit_mask(box)
