"""Frames that show a part of each slice: a camera that goes along with a structure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from oneslice.frames import Frames
from oneslice.geometry import Array
from oneslice.sam2.state import ABSENT

_EDGE = 0.15  # of the part's sides: nearer to its edges a structure takes the camera along
_FULL = 0.7  # of the part's sides, filled by a structure that is too large for it


class Camera:
    """The slices of a volume as frames (1, S, S) that each show a part of their slice.

    Args:
        frames: the whole slices.
        side: of the part, mm; a slice that has less is shown from end to end.
    """

    def __init__(self, frames: Frames, side: float) -> None:
        self._frames, whole = frames, frames.letterbox
        spacing = np.array([whole.row_mm, whole.column_mm])
        self._whole = np.array(frames.slice_shape)
        self._shape = np.minimum(self._whole, np.maximum(2, (side / spacing).round())).astype(int)
        rows, columns = self._shape.tolist()
        self.letterbox = replace(whole, rows=rows, columns=columns)
        self.step = frames.slice_mm * self.letterbox.scale  # from slice to slice, in pixels
        self._corners = np.zeros((len(frames), 2), int)

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> Tensor:
        """The frame of one slice."""
        return self.letterbox.fit(self._part(index, self._frames.slice(index))[None])

    def aim(self, index: int, masks: Tensor) -> Tensor:
        """Show a slice with what masks (K, rows, columns) mark in the middle.

        Returns:
            The masks in the frame (K, S, S).
        """
        middle = np.mean(_box(masks), 0)
        self._point(index, middle - self._shape / 2)
        return self.letterbox.fit_mask(self._part(index, masks))

    def follow(self, index: int, before: int, masks: Tensor) -> None:
        """Show the same part of a slice as of the one before, unless its masks are at the edge.

        Args:
            index: of the slice.
            before: that of the one before it on the way.
            masks: (K, S, S) in the frame of that one, not empty.
        """
        first, end = map(self.letterbox.position, _box(masks))
        edge = _EDGE * self._shape
        low, high = first - edge, end + edge - self._shape
        shift = np.where(high > low, (low + high) / 2, np.minimum(low, 0) + np.maximum(high, 0))
        self._point(index, self._corners[before] + shift)

    def is_full(self, masks: Tensor) -> bool:
        """Whether masks (K, S, S) of a frame, not empty, are too large for the part."""
        first, end = map(self.letterbox.position, _box(masks))
        large = end - first > _FULL * self._shape
        return bool((large & (self._shape < self._whole)).any())

    def restore(self, index: int, logits: Tensor) -> Tensor:
        """Logits (K, S, S) of a frame on the whole slice (K, rows, columns), absent elsewhere."""
        part = self.letterbox.restore(logits)
        (top, left), (bottom, right) = self._beside(index)
        return F.pad(part, (left, right, top, bottom), value=ABSENT)

    def _beside(self, index: int) -> tuple[list[int], list[int]]:
        """Rows and columns that are not shown, before the part and after it."""
        corner = self._corners[index]
        return corner.tolist(), (self._whole - self._shape - corner).tolist()

    def _part(self, index: int, x: Tensor) -> Tensor:
        """What is shown of (..., rows, columns)."""
        (top, left), (bottom, right) = self._corners[index], self._corners[index] + self._shape
        return x[..., top:bottom, left:right]

    def _point(self, index: int, corner: Array) -> None:
        """Let the part begin near this row and column (2,)."""
        self._corners[index] = np.clip(corner.round(), 0, self._whole - self._shape)


def _box(masks: Tensor) -> tuple[Array, Array]:
    """First and end, rows and columns (2,), of what masks (K, h, w) mark."""
    shown = masks.gt(0).any(0)
    marked = [torch.nonzero(shown.any(axis))[:, 0] for axis in (1, 0)]
    return np.array([int(n[0]) for n in marked]), np.array([int(n[-1]) + 1 for n in marked])
