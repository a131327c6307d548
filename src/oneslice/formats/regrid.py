"""Puts a label map onto the grid of its scan where both share the same voxels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from oneslice.errors import InputError
from oneslice.geometry import Array, Geometry
from oneslice.volume import LabelMap

_TOLERANCE = 0.05  # voxels


def place_on_grid(labels: LabelMap, grid: Geometry) -> LabelMap:
    """The same labels stored on ``grid``, without resampling.

    Accepts label maps stored in another order or direction of axes, and those that hold only a
    part of the grid (cropped, or only the labelled slices); the rest is background.

    Raises:
        InputError: the voxels do not coincide, or lie outside the grid.

    """
    own = labels.geometry
    to_grid = np.linalg.inv(grid.affine) @ own.affine
    steps = _whole_steps(to_grid[:3, :3], own.shape)
    last = np.array(own.shape) - 1
    start = np.round(to_grid[:3, 3] + np.minimum(steps, 0) @ last).astype(int)
    error = np.abs((to_grid[:3, :3] - steps) * last).max()
    error += np.abs(to_grid[:3, 3] + np.minimum(steps, 0) @ last - start).max()
    axes = np.abs(steps).argmax(axis=1)  # the own axis that runs along each grid axis
    end = start + np.array(own.shape)[axes]
    if error > _TOLERANCE or (start < 0).any() or (end > grid.shape).any():
        raise InputError(_refusal(labels, grid))
    backwards = tuple(a for a in range(3) if steps[:, a].sum() < 0)
    placed = np.zeros(grid.shape, labels.array.dtype)
    box = tuple(slice(low, high) for low, high in zip(start, end, strict=True))
    placed[box] = np.flip(labels.array, backwards).transpose(axes)
    return replace(labels, array=placed, geometry=grid)


def _whole_steps(steps: Array, shape: tuple[int, int, int]) -> Array:
    """The signed permutation (3, 3) nearest to ``steps``.

    Args:
        steps: (3, 3), column a is one step along own axis a, in grid voxels.
        shape: own shape; an axis of one voxel runs along whichever grid axis is left.

    """
    left = [0, 1, 2]
    whole = np.zeros((3, 3))
    for a in sorted(range(3), key=lambda a: shape[a] == 1):
        target = int(max(left, key=lambda g: abs(steps[g, a])))
        left.remove(target)
        whole[target, a] = -1 if steps[target, a] < 0 else 1
    return whole


def _refusal(labels: LabelMap, grid: Geometry) -> str:
    difference = labels.geometry.difference(grid) or "corners apart"
    return (
        f"{labels.name}: the label map lies on another grid than its scan ({difference}); "
        "export the labels on the scan's own grid"
    )
