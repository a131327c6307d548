"""By how much a structure is shifted, found by trying every shift within reach."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_REACH = 12  # largest shift along each axis, pixels
_PENALTY = 0.05  # of a shift as far as that


def search_shift(fixed: Tensor, moving: Tensor, weight: Tensor) -> Tensor:
    """The shift (x, y) in pixels at which ``moving`` fits best where ``weight`` is; far ones cost.

    Args:
        fixed: (C, h, w), the query.
        moving: (C, h, w), the support.
        weight: (1, h, w).
    """
    if not weight.any():
        return fixed.new_zeros(2)
    rows, columns = (weight[0] > 1e-3).nonzero().unbind(1)
    top, end, left, right = (int(n) for n in (*rows.aminmax(), *columns.aminmax()))
    box = (..., slice(top, end + 1), slice(left, right + 1))
    wide = F.pad(fixed[None], (_REACH,) * 4, mode="replicate")[0]
    wide = wide[:, top : end + 1 + 2 * _REACH, left : right + 1 + 2 * _REACH]
    steps = torch.arange(-_REACH, _REACH + 1).to(fixed)
    far = (steps[:, None] ** 2 + steps**2) / _REACH**2
    cost = _apart(wide, moving[box], weight[box])[: len(steps), : len(steps)] / weight.sum()
    best = int((cost + _PENALTY * far).argmin())
    return torch.stack([steps[best % len(steps)], steps[best // len(steps)]])


def _apart(wide: Tensor, patch: Tensor, share: Tensor) -> Tensor:
    """The squared difference of a patch at every place in ``wide``, less what is always the same.

    That is correlations, sum(share * wide^2 - 2 share * patch * wide), and these are products of
    Fourier transforms.
    """
    there = torch.fft.rfft2(torch.cat([wide, wide.pow(2).sum(0, keepdim=True)]))
    here = torch.fft.rfft2(torch.cat([-2 * share * patch, share]), s=wide.shape[-2:])
    return torch.fft.irfft2((there * here.conj()).sum(0), s=wide.shape[-2:])
