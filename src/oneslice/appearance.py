"""What structures look like in the scan at hand.

Registered masks are wrong at the edges, but over a whole scan they tell which intensities are a
structure's own and which are its surroundings', as in GrabCut (Rother et al., ACM Transactions on
Graphics 2004), with histograms. Where network and registered mask end in the middle of an organ,
that takes the mask on, as far as it hangs together with what was found: a little way along any
path, and far where a large structure goes on broadly, like a lobe that no labelled slice shows.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from oneslice.geometry import Array
from oneslice.mind import blur, within

SIDE = 128  # pixels of the grid on which intensities are compared
_BINS, _SMOOTH = 64, 2.0  # of a histogram; blur of its bins
_SURROUNDINGS = 20  # pixels around a structure that count as what it must be told from
_DOUBT = 50.0  # pixels whose worth of evidence says that there is no difference
_LIMIT = 2.0  # the most that intensities say for or against a structure (log odds)
_REACH = 0.3  # of a structure's radius: how far beyond what was found intensities can take it
_FAR, _BROAD = 1.5, 0.2  # of the radius: how far, along ways with at least a disc of this radius
_CLEAR = 0.5  # evidence on such ways
_LARGE = 37.5  # mm, a radius; smaller structures do not go on so


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


def within_reach(evidence: Tensor, found: Tensor, pixel: float) -> tuple[Tensor, Tensor]:
    """Evidence (K, h, w) without what speaks for a structure far from where it was found.

    Args:
        evidence: log likelihood ratios.
        found: (K, h, w) in [0, 1], masks.
        pixel: mm of its side.

    Returns:
        Evidence that speaks for a structure counts only where a path of such evidence leads there
        from what was found, no longer than a fraction of its radius, or a broad way. And (K, h, w)
        of bool, where broad ways lead.
    """
    large = are_large(found, pixel).tolist()
    structures = zip((found > 0.5).numpy(), evidence.numpy(), large, strict=True)
    ways = [_ways(*structure) for structure in structures]
    near, broad = (torch.from_numpy(np.stack(each)) for each in zip(*ways, strict=True))
    return torch.where(near | broad, evidence, evidence.clamp(max=0)), broad


def are_large(found: Tensor, pixel: float) -> Tensor:
    """Which (K,) of masks (K, h, w) in [0, 1] are large, where a pixel's side has so many mm."""
    return ((found > 0.5).sum((1, 2)) / torch.pi).sqrt() * pixel >= _LARGE


def _ways(mask: Array, evidence: Array, large: bool) -> tuple[Array, Array]:
    """Where paths of any width lead from a mask (h, w), and where broad ones do."""
    radius = float(mask.sum() / np.pi) ** 0.5
    near = _spread(mask, mask | (evidence > 0), _REACH * radius)
    if not large:
        return near, np.zeros_like(mask)
    clear = ndimage.binary_opening(mask | (evidence > _CLEAR), _disc(round(_BROAD * radius)))
    return near, _spread(mask & clear, clear, _FAR * radius)


def _spread(mask: Array, inside: Array, distance: float) -> Array:
    """What is reached from within a mask (h, w) in steps that stay ``inside``."""
    core, steps = ndimage.binary_erosion(mask), round(distance)
    if not steps:
        return core
    return ndimage.binary_dilation(core, iterations=steps, mask=inside)


def _disc(radius: int) -> Array:
    rows, columns = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return rows**2 + columns**2 <= radius**2


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
