"""Where the positions of one slice lie in another, and images taken there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from oneslice.mind import blur

_NODES = 16  # of a displacement, per side
_STEPS = 60 * _NODES  # along a side, at which it is tabulated


@dataclass(frozen=True)
class Transform:
    """Where the positions of B images lie in B others: an affine map and a smooth displacement.

    Args:
        affine: (B, 6) shift x and y, rotation, log zoom x and y, shear; of half the side.
        nodes: (B, 2, n, n) displacements on a coarse grid.
    """

    affine: Tensor
    nodes: Tensor

    @classmethod
    def affine_only(cls, affine: Tensor) -> Transform:
        """Transforms (B, 6) without displacement."""
        return cls(affine, affine.new_zeros(len(affine), 2, _NODES, _NODES))

    @classmethod
    def displaced(cls, affine: Tensor, field: Tensor) -> Transform:
        """Affine maps (B, 6) and displacements (B, 2, h, w)."""
        return cls(affine, F.adaptive_avg_pool2d(field, _NODES))

    def select(self, index: Tensor | Sequence[int]) -> Transform:
        """The transforms ``index``."""
        return Transform(self.affine[index], self.nodes[index])

    def grid(self, side: int) -> Tensor:
        """Positions (B, side, side, 2), x before y, in [-1, 1] within the image; for ``warp``."""
        centres = ((torch.arange(side) * 2 + 1).to(self.nodes) / side - 1).expand(
            len(self.nodes), -1
        )
        return affine_grid(self.affine, side) + displacement(self.nodes, centres, centres)

    def after(self, local: Transform, side: int) -> Tensor:
        """The positions (B, side, side, 2) that ``local`` leads to first."""
        return sample(self.grid(side).permute(0, 3, 1, 2), local.grid(side)).permute(0, 2, 3, 1)


def warp(images: Tensor, grid: Tensor) -> Tensor:
    """Images or soft masks (B, C, S, S) at the positions (B, S, S, 2); outside is 0."""
    return F.grid_sample(images, grid, mode="bilinear", align_corners=False)


def sample(images: Tensor, grid: Tensor) -> Tensor:
    """Images (B, C, h, w) at the positions (B, n, m, 2); outside is as the edge."""
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def affine_grid(parameters: Tensor, side: int) -> Tensor:
    """Positions (B, side, side, 2) for shift x, y, rotation, log zoom x, y and shear (B, 6)."""
    dx, dy, angle, zoom_x, zoom_y, shear = parameters.unbind(1)
    x, y = zoom_x.exp(), zoom_y.exp()
    centres = (torch.arange(side) * 2 + 1).to(parameters) / side - 1
    right = torch.stack([angle.cos() * x, angle.sin() * x], -1)[:, None, None]
    down = torch.stack([shear - angle.sin() * y, angle.cos() * y], -1)[:, None, None]
    shift = torch.stack([dx, dy], -1)[:, None, None]
    return centres[:, None] * right + (centres[:, None, None] * down + shift)


def displacement(nodes: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Displacements (B, n, m, 2) from nodes (B, 2, k, k) at rows (B, n) and columns (B, m)."""
    return torch.einsum("bcij,biy,bjx->byxc", nodes, _say(rows), _say(columns))


def _say(positions: Tensor) -> Tensor:
    """How much each node displaces each of the positions (B, n): (B, nodes, n)."""
    number = ((positions + 1) * _STEPS / 2 - 0.5).round().clamp(0, _STEPS - 1).long()
    return _spread().to(positions)[:, number].transpose(0, 1)


@cache
def _spread() -> Tensor:
    """What each node does along the image (nodes, steps): blurred, then bicubic."""
    with torch.inference_mode(False):
        nodes = blur(torch.eye(_NODES)[None, :, None], 0.7)
        size = (1, _STEPS)
        return F.interpolate(nodes, size, mode="bicubic", align_corners=False)[0, :, 0]
