"""Transforms made better by gradient descent on what makes two described slices unlike."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from oneslice.transform import Transform, affine_grid, displacement, sample
from oneslice.unlikeness import Unlikeness, shares

_AFFINE_STEPS, _AFFINE_RATE = 10, 0.02
_SMOOTHNESS = 4.8
_POINTS = 48  # per side, at which a displacement is compared


def descend_affine(fixed: Tensor, moving: Tensor, start: Tensor) -> Tensor:
    """Affine parameters (B, 6), by gradient descent from ``start``."""
    parameters = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([parameters], _AFFINE_RATE)
    share = shares(torch.ones_like(fixed[:, :1]), fixed.shape[1])
    for _ in range(_AFFINE_STEPS):
        moved = sample(moving, affine_grid(parameters, fixed.shape[-1]))
        _step(optimiser, Unlikeness.apply(fixed, moved, share))
    return parameters.detach()


def descend_displacement(
    fixed: Tensor,
    moving: Tensor,
    start: Transform,
    weight: Tensor,
    steps: int,
    rate: float,
) -> Transform:
    """A better displacement on top of the affine map of ``start``.

    Args:
        fixed: descriptions (B, 9, h, w) of the query.
        moving: those of the support.
        start: B transforms.
        weight: (B, 1, h, w), how much each pixel of ``fixed`` counts.
        steps: of the descent.
        rate: of each.
    """
    points = _Points.within(weight, _POINTS)
    grid = points.grid
    wanted, share = sample(fixed, grid), shares(sample(weight, grid), fixed.shape[1])
    affine = affine_grid(start.affine, fixed.shape[-1]).permute(0, 3, 1, 2)
    base = sample(affine, grid).permute(0, 2, 3, 1)
    nodes = start.nodes.clone().requires_grad_()
    optimiser = torch.optim.Adam([nodes], rate)
    for _ in range(steps):
        moved = sample(moving, base + points.displaced(nodes))
        rough = sum(nodes.diff(dim=axis).pow(2).mean((1, 2, 3)).sum() for axis in (2, 3))
        _step(optimiser, Unlikeness.apply(wanted, moved, share) + _SMOOTHNESS * rough)
    return Transform(start.affine, nodes.detach())


@dataclass(frozen=True)
class _Points:
    """Rows (B, n) and columns (B, n) of n x n positions, in [-1, 1] within the image."""

    rows: Tensor
    columns: Tensor

    @classmethod
    def within(cls, weight: Tensor, count: int) -> _Points:
        """``count`` x ``count`` positions that cover where the weight (B, 1, h, w) is."""
        there = weight[:, 0] > 1e-3
        return cls(_cover(there.any(2), count), _cover(there.any(1), count))

    @property
    def grid(self) -> Tensor:
        """The positions (B, n, n, 2), x before y."""
        shape = (-1, self.rows.shape[1], self.columns.shape[1])
        return torch.stack(
            [self.columns[:, None].expand(shape), self.rows[:, :, None].expand(shape)], -1
        )

    def displaced(self, nodes: Tensor) -> Tensor:
        """The displacement (B, n, n, 2) of these positions."""
        return displacement(nodes, self.rows, self.columns)


def _cover(there: Tensor, count: int) -> Tensor:
    """``count`` positions (B, count) between the first and the last that is true in (B, h)."""
    side = there.shape[1]
    number = torch.arange(side)
    first = torch.where(there, number, side - 1).amin(1)
    last = torch.where(there, number, 0).amax(1)
    low, high = ((2 * end + 1) / side - 1 for end in (first.minimum(last), first.maximum(last)))
    return low[:, None] + (high - low)[:, None] * torch.linspace(0, 1, count)


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
