"""One mask for each structure from several registered ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_SHARPNESS = 20.0  # how fast a mask loses its say where it fits badly


def vote(moved: Tensor, misfit: Tensor, weights: Tensor, structures: Tensor, count: int) -> Tensor:
    """The mean mask of each structure, in which those that fit at a place have more say there.

    Locally weighted voting (Artaechevarria et al., IEEE Transactions on Medical Imaging 2009).

    Args:
        moved: (M, h, w) in [0, 1], registered masks.
        misfit: (M, n, n), how badly each registration fits at each place.
        weights: (M,) of the masks.
        structures: (M,), which structure each of them is of; each has one at least.
        count: of the structures.

    Returns:
        (count, h, w) in [0, 1].
    """
    fits = torch.exp(-_SHARPNESS * misfit)[:, None]
    say = F.interpolate(fits, moved.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    say = say * weights[:, None, None]
    none = moved.new_zeros(count, *moved.shape[-2:])
    return none.index_add(0, structures, say * moved) / none.index_add(0, structures, say)
