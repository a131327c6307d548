"""How high in a scan structures should be, by how high they are labelled in others.

Structures lie above each other in much the same way in every patient, so that one shift along the
slice axis brings all that is labelled in a support to where the same structures are in the query.
What one structure's evidence leaves open, which of two places, the others decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from oneslice.geometry import Array
from oneslice.support import Support
from oneslice.volume import Structure

_CERTAIN = 2.0  # log odds beyond which a slice counts no more
_FURTHER = 1 / 3  # of the gap between labelled slices less a radius: it goes on beyond the last


@dataclass(frozen=True)
class Heights:
    """Where K structures are labelled along the slice axis of one scan, mm; NaN where they are not.

    Args:
        low, high: (K,), around the middle of the labelled slices as much as they reach, and more
            where they lie far apart for the structure's width; the structure's radius at least.
        radius: (K,), of a disc as large as the structure.
    """

    low: Array
    high: Array
    radius: Array

    @classmethod
    def of(
        cls, supports: Sequence[Support], structures: Sequence[Structure], directions: Array
    ) -> Heights:
        """The heights in one scan, of which all ``supports`` are, read along ``directions``."""
        rows = [_height(supports, structure, directions) for structure in structures]
        return cls(*np.array(rows).T)

    def beyond(self, odds: Array, step: float) -> Array:
        """How far beyond its height each structure's slices (N, K) are, in radii, after alignment.

        Args:
            odds: (N, K), log odds that a structure is on a slice.
            step: mm from slice to slice.
        """
        shift = self._shift(odds, step)
        at = np.arange(len(odds))[:, None] * step - shift
        return np.maximum(0, np.maximum(self.low - at, at - self.high)) / self.radius

    def _shift(self, odds: Array, step: float) -> float:
        """The mm by which structures are higher in the query: there, the odds are best.

        Of each structure the mean over its slices counts, so that long ones have no more say.
        """
        known = ~np.isnan(self.low)
        total = np.cumsum(np.clip(odds[:, known], -_CERTAIN, _CERTAIN), 0)
        total = np.concatenate([np.zeros_like(total[:1]), total])
        low, high = self.low[known], self.high[known]
        shifts = np.arange(-high.max(), len(odds) * step - low.min(), step / 2)
        first = np.ceil((shifts[:, None] + low) / step).astype(int).clip(0, len(odds))
        end = np.floor((shifts[:, None] + high) / step + 1).astype(int).clip(0, len(odds))
        inside = np.take_along_axis(total, end, 0) - np.take_along_axis(total, first, 0)
        slices = np.maximum(1, (high - low) / step)
        return float(shifts[(inside / slices).sum(1).argmax()])


def _height(
    supports: Sequence[Support], structure: Structure, directions: Array
) -> tuple[float, float, float]:
    """Lowest, highest and radius of a structure in one scan; NaN if it is not labelled there."""
    showing = [support for support in supports if support.shows(structure)]
    if not showing:
        return np.nan, np.nan, np.nan
    at = np.unique(np.concatenate([support.heights(structure, directions) for support in showing]))
    radius = max(support.radius(structure) for support in showing)
    further = _FURTHER * max(0, np.diff(at).max(initial=0) - radius)
    middle, half = (at[0] + at[-1]) / 2, max((at[-1] - at[0]) / 2 + further, radius)
    return middle - half, middle + half, radius
