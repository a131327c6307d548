"""What structures look like in the scan at hand.

Registered masks are wrong at the edges, but over a whole scan they tell which intensities are a
structure's own and which are its surroundings', as in GrabCut (Rother et al., ACM Transactions on
Graphics 2004), with histograms. Where network and registered mask end in the middle of an organ,
that takes the mask on, as far as it hangs together with what was found.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from oneslice.mind import blur, within

SIDE = 128  # pixels of the grid on which intensities are compared
_BINS, _SMOOTH = 64, 2.0  # of a histogram; blur of its bins
_SURROUNDINGS = 20  # pixels around a structure that count as what it must be told from
_DOUBT = 50.0  # pixels whose worth of evidence says that there is no difference
_LIMIT = 2.0  # the most that intensities say for or against a structure (log odds)
_REACH = 0.3  # of a structure's radius: how far beyond what was found intensities can take it


class Appearance:
    """Intensities of the K structures of one scan, and of what surrounds them."""

    def __init__(self, structures: int) -> None:
        self._inside = torch.zeros(structures, _BINS)
        self._outside = torch.zeros(structures, _BINS)

    def see(self, image: Tensor, masks: Tensor) -> None:
        """Count a slice's (1, S, S) intensities in and around masks (K, SIDE, SIDE)."""
        where = _intensities(image).flatten().expand(len(masks), -1)
        near = within(masks > 0.3, _SURROUNDINGS)
        inside = masks * (masks > 0.5)
        outside = (1 - masks) * (near & (masks < 0.5))
        self._inside.scatter_add_(1, where, inside.flatten(1))
        self._outside.scatter_add_(1, where, outside.flatten(1))

    def evidence(self, image: Tensor) -> Tensor:
        """Log likelihood ratios (K, SIDE, SIDE) of a slice (1, S, S) being each structure."""
        inside, outside = _smooth(self._inside), _smooth(self._outside)
        usual = _share(inside + outside, torch.ones_like(inside) / _BINS)
        ratio = (_share(inside, usual) / _share(outside, usual)).log()
        return ratio[:, _intensities(image)].clamp(-_LIMIT, _LIMIT)


def within_reach(evidence: Tensor, found: Tensor) -> Tensor:
    """Evidence (K, h, w) without what speaks for a structure far from where it was found.

    Args:
        evidence: log likelihood ratios.
        found: (K, h, w) in [0, 1], masks.

    Returns:
        Evidence that speaks for a structure counts only where a path of such evidence leads there
        from what was found, no longer than a fraction of its radius.
    """
    reached = [
        _reached(mask, likely) for mask, likely in zip(found > 0.5, evidence > 0, strict=True)
    ]
    return torch.where(torch.from_numpy(np.stack(reached)), evidence, evidence.clamp(max=0))


def _reached(mask: Tensor, likely: Tensor) -> np.ndarray:
    core = ndimage.binary_erosion(mask.numpy())
    steps = round(_REACH * float(mask.sum() / torch.pi) ** 0.5)
    if not steps:
        return core
    return ndimage.binary_dilation(core, iterations=steps, mask=(mask | likely).numpy())


def _intensities(image: Tensor) -> Tensor:
    """The bin (SIDE, SIDE) of each pixel of an image (1, S, S) in [0, 1]."""
    small = blur(F.adaptive_avg_pool2d(image.mean(0)[None, None], SIDE), 0.7)[0, 0]
    return (small * (_BINS - 1)).round().long().clamp(0, _BINS - 1)


def _smooth(counts: Tensor) -> Tensor:
    """Counts (K, bins), blurred."""
    return blur(counts[None, :, None], _SMOOTH)[0, :, 0]


def _share(counts: Tensor, usual: Tensor) -> Tensor:
    """Counts (K, bins) as shares, drawn towards ``usual`` where little was counted."""
    counts = counts + _DOUBT * usual
    return counts / counts.sum(1, keepdim=True)
