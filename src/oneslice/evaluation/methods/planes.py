"""Slices as 2D images whose centres coincide, for methods that move masks between scans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from oneslice.evaluation.datasets import Stack
from oneslice.formats.itk import simple_itk
from oneslice.geometry import Array


@dataclass(frozen=True)
class Plane:
    """The grid of a scan's slices, its centre at the origin.

    Args:
        shape: rows and columns.
        spacing: between rows and between columns, in pixels of the query.
    """

    shape: tuple[int, int]
    spacing: tuple[float, float]

    @classmethod
    def of(cls, stack: Stack, query: Stack) -> Plane:
        """The grid of ``stack`` measured in pixels of ``query``."""
        _, height, width = stack.slices.shape
        pixels = zip(stack.spacing[1:], query.spacing[1:], strict=True)
        row, column = (own / unit for own, unit in pixels)
        return cls((height, width), (row, column))

    def image(self, array: Array) -> Any:
        """A slice (H, W) as a SimpleITK image."""
        image = simple_itk().GetImageFromArray(np.ascontiguousarray(array, np.float32))
        image.SetSpacing(self.spacing[::-1])
        extents = zip(self.shape[::-1], self.spacing[::-1], strict=True)
        image.SetOrigin([-(n - 1) * step / 2 for n, step in extents])
        return image

    def fetch(self, source: Plane, array: Array, transform: Any = None) -> Array:
        """A slice of another plane resampled to this one, linearly, 0 outside.

        Args:
            source: the other plane.
            array: (H, W) on it.
            transform: from positions on this plane to the other; None: centre on centre.

        """
        if transform is None and self == source:
            return array.astype(np.float32)
        sitk = simple_itk()
        grid = self.image(np.zeros(self.shape))
        moved = sitk.Resample(
            source.image(array), grid, transform or sitk.Transform(), sitk.sitkLinear, 0.0
        )
        result: Array = sitk.GetArrayFromImage(moved)
        return result
