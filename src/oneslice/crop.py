"""Logits kept in little memory: where a structure may be, and a little further."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from oneslice.sam2.state import ABSENT

_MARGIN = 4  # pixels around, for interpolation


@dataclass(frozen=True)
class Crop:
    """What is kept of the logits of one structure on one slice.

    Args:
        values: in half precision.
        corner: row and column of the first of them.
        shape: of the whole, rows and columns.
    """

    values: Tensor
    corner: tuple[int, int]
    shape: tuple[int, int]

    @classmethod
    def of(cls, logits: Tensor, floor: float = 0.0) -> Crop:
        """Of logits (h, w), those above ``floor``."""
        rows, columns = (_extent((logits > floor).any(axis)) for axis in (1, 0))
        values = logits[rows, columns].half()
        return cls(values, (rows.start, columns.start), (logits.shape[0], logits.shape[1]))

    def restore(self) -> Tensor:
        """(h, w), as if the structure were absent outside of what was kept."""
        (row, column), (height, width) = self.corner, self.values.shape
        rows, columns = self.shape
        beside = (column, columns - column - width, row, rows - row - height)
        return F.pad(self.values.float(), beside, value=ABSENT)


def _extent(inside: Tensor) -> slice:
    """From the first to the last that is true, and a margin; empty if none is."""
    found = inside.nonzero()[:, 0].tolist()
    return slice(max(found[0] - _MARGIN, 0), found[-1] + 1 + _MARGIN) if found else slice(0, 0)
