"""Where the parts of one slice lie in another, found by trying every small displacement.

Gradient descent follows what is near; organs that differ between patients need not be. Discrete
optimisation by coupled convex functions (Heinrich, Papież, Schnabel and Handels, WBIR 2014;
Siebert, Hansen and Heinrich, "Fast 3D registration with accurate optimisation and little learning",
2021) compares all displacements within reach at once, and makes neighbours agree step by step.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_SIDE = 32  # of the grid on which slices are compared
_REACH = 4  # largest displacement along each axis, pixels of this grid
_COUPLING = (0.01, 0.1, 1.0)  # cost of a squared pixel of disagreement with the neighbours


def search_displacement(fixed: Tensor, moving: Tensor) -> Tensor:
    """The displacements (B, 2, n, n), x before y, of half the side, that bring ``moving`` nearest.

    Args:
        fixed: descriptions (B, C, h, w) of slices.
        moving: those of others, near them already.
    """
    steps = torch.arange(-_REACH, _REACH + 1.0)
    tried = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1).view(-1, 2)
    costs = _costs(_small(fixed), _small(moving), tried)
    length = (tried**2).sum(1)[:, None, None]
    agreed = _smooth(_best(costs, tried))
    for coupling in _COUPLING:  # |tried - agreed|^2 without what is the same for all that are tried
        apart = length - 2 * torch.einsum("dc,bchw->bdhw", tried, agreed)
        agreed = _smooth(_best(costs + coupling * apart, tried))
    return agreed * 2 / _SIDE


def _costs(fixed: Tensor, moving: Tensor, tried: Tensor) -> Tensor:
    """The mean squared difference (B, D, n, n) of descriptions at each of D displacements."""
    wide = F.pad(moving, (_REACH,) * 4, mode="replicate")
    corners = (tried + _REACH).int().tolist()
    differences = [
        (fixed - wide[..., y : y + _SIDE, x : x + _SIDE]).pow(2).mean(1) for x, y in corners
    ]
    return _mean(torch.stack(differences, 1))


def _best(costs: Tensor, tried: Tensor) -> Tensor:
    """The cheapest displacement (B, 2, n, n) at each place."""
    return tried[costs.argmin(1)].permute(0, 3, 1, 2)


def _smooth(field: Tensor) -> Tensor:
    return _mean(_mean(field))


def _mean(x: Tensor) -> Tensor:
    """The mean of each pixel and its neighbours."""
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def _small(x: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(x, _SIDE)
