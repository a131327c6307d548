"""What registration compares: self-similarities and shares of brightness.

MIND is the descriptor of Heinrich et al. (Medical Image Analysis 2012, doi
10.1016/j.media.2012.05.008); neighbours are also compared with each other, as in their MICCAI 2013
paper. Neither it nor the shares change with brightness and contrast.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

_NEIGHBOURS = ((-1, 0), (0, 1), (1, 0), (0, -1))
_DISTANCE = 2  # pixels between a pixel and its neighbours


def describe(images: Tensor) -> Tensor:
    """MIND and shares of brightness (B, 9, h, w) of images (B, 1, h, w), all in [0, 1]."""
    return torch.cat([mind(images), darker_share(images)], 1)


def darker_share(images: Tensor) -> Tensor:
    """How much of a slice's brightness lies in pixels darker than each (B, 1, h, w), in [0, 1].

    These are ranks in which a pixel counts by how far it is from the darkest (the Lorenz curve), so
    that the black around a body takes none. Equal intensities share the mean of theirs.
    """
    flat = images.flatten(1)
    ordered = flat.sort(1).values
    brightness = (ordered - ordered[:, :1]).cumsum(1)
    share = F.pad(brightness / brightness[:, -1:].clamp(min=1e-6), (1, 0))
    below, upto = (torch.searchsorted(ordered, flat, right=equal) for equal in (False, True))
    return ((share.gather(1, below) + share.gather(1, upto)) / 2).view_as(images)


def mind(images: Tensor) -> Tensor:
    """Eight self-similarities (B, 8, h, w) of images (B, 1, h, w), in [0, 1]."""
    around = [_shift(images, dy * _DISTANCE, dx * _DISTANCE) for dy, dx in _NEIGHBOURS]
    pairs = [around[n] - around[(n + 1) % 4] for n in range(4)] + [a - images for a in around]
    distance = blur(torch.cat(pairs, 1) ** 2, 1.0)
    distance = distance - distance.amin(1, keepdim=True)
    variance = distance.mean(1, keepdim=True)
    typical = variance.mean((1, 2, 3), keepdim=True)
    variance = variance.maximum(0.05 * typical + 1e-6).minimum(20 * typical + 1e-5)
    return torch.exp(-distance / variance)


def blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of each channel of (B, C, h, w), edges repeated."""
    rows, columns = (_gaussian(side, sigma).to(x) for side in x.shape[-2:])
    return rows @ (x @ columns.T)


def within(masks: Tensor, distance: int) -> Tensor:
    """What lies within a square around masks (K, h, w) of bool."""
    rows, columns = (_near(side, distance).to(masks.device) for side in masks.shape[-2:])
    return rows @ (masks.float() @ columns) > 0


@cache
def _gaussian(side: int, sigma: float) -> Tensor:
    """(side, side), by which columns are blurred; a product is faster than a convolution here."""
    radius = round(3 * sigma)
    offsets = torch.arange(-radius, radius + 1)
    with torch.inference_mode(False):
        window = torch.exp(-offsets.pow(2) / (2 * sigma**2))
        at = (torch.arange(side)[:, None] + offsets).clamp(0, side - 1)
        share = (window / window.sum()).expand(side, -1)
        return torch.zeros(side, side).scatter_add_(1, at, share)


@cache
def _near(side: int, distance: int) -> Tensor:
    """(side, side), 1 where two positions are within reach of each other."""
    with torch.inference_mode(False):
        at = torch.arange(side)
        return ((at[:, None] - at).abs() <= distance).float()


def _shift(images: Tensor, dy: int, dx: int) -> Tensor:
    height, width = images.shape[-2:]
    padded = F.pad(images, (_DISTANCE,) * 4, mode="replicate")
    top, left = _DISTANCE + dy, _DISTANCE + dx
    return padded[..., top : top + height, left : left + width]
