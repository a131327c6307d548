"""Dynamic matching: how unlike each augmented support is to a query slice.

Every image is described once; distances are then taken between descriptions, never by running a
network on pairs (arXiv 2503.04826, section 3.3).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from oneslice.choices import Metric
from oneslice.encoded import EncodedFrames

_POSITIONS = 16  # side of the grid on which encoder features are compared
_NCC_SIZE = 64
_SSIM_SIZE = 128
_TOGETHER = 32  # descriptions compared at once, which bounds the memory


class Descriptor(ABC):
    """Describes frames so that they can be compared."""

    @abstractmethod
    def describe(self, frames: EncodedFrames, index: int) -> Tensor:
        """One frame as a vector (D,)."""

    def distances(self, query: Tensor, pool: Tensor) -> Tensor:
        """From one description (D,) to many (P, D): (P,), 0 for identical frames."""
        return torch.cat([(part - query).pow(2).sum(1) for part in pool.split(_TOGETHER)])


class EncoderDescriptor(Descriptor):
    """1 minus the mean cosine between SAM 2 encoder features at corresponding positions."""

    def describe(self, frames: EncodedFrames, index: int) -> Tensor:
        """The unit feature vectors of a coarse grid, joined."""
        top = frames.features([index]).top[0]  # (HW, C)
        side = int(len(top) ** 0.5)
        grid = top.T.reshape(1, -1, side, side)
        pooled = F.adaptive_avg_pool2d(grid, min(side, _POSITIONS))[0].flatten(1)
        return F.normalize(pooled, dim=0).flatten() / (2 * pooled.shape[1]) ** 0.5


class NccDescriptor(Descriptor):
    """1 minus the normalised cross-correlation of small copies."""

    def describe(self, frames: EncodedFrames, index: int) -> Tensor:
        """The small copy with zero mean and unit length."""
        small = _small(frames.image(index), _NCC_SIZE)
        flat = small.flatten() - small.mean()
        return F.normalize(flat, dim=0) / 2**0.5


class LpipsDescriptor(Descriptor):
    """LPIPS with AlexNet, the paper's metric."""

    def __init__(self, offline: bool) -> None:
        from oneslice.lpips import load_lpips

        self._network = load_lpips(offline)

    def describe(self, frames: EncodedFrames, index: int) -> Tensor:
        """The weighted AlexNet features."""
        vector: Tensor = self._network(frames.image(index)[None])[0]
        return vector


class SsimDescriptor(Descriptor):
    """1 minus SSIM (Wang et al. 2004, equation 13) of small copies, range 1."""

    def describe(self, frames: EncodedFrames, index: int) -> Tensor:
        """The small copy; its local statistics are cheap."""
        return _small(frames.image(index), _SSIM_SIZE).flatten()

    def distances(self, query: Tensor, pool: Tensor) -> Tensor:
        """1 minus the mean of the local SSIM."""
        x, y = (t.reshape(-1, 1, _SSIM_SIZE, _SSIM_SIZE) for t in (query, pool))
        mean_x, mean_y = _gaussian(x), _gaussian(y)
        var_x = _gaussian(x * x) - mean_x**2
        var_y = _gaussian(y * y) - mean_y**2
        covariance = _gaussian(x * y) - mean_x * mean_y
        c1, c2 = 0.01**2, 0.03**2
        luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
        structure = (2 * covariance + c2) / (var_x + var_y + c2)
        return 1 - (luminance * structure).mean((1, 2, 3))


def _small(image: Tensor, size: int) -> Tensor:
    """A gray copy (1, size, size)."""
    return F.adaptive_avg_pool2d(image.mean(0, keepdim=True), size)


def _gaussian(x: Tensor) -> Tensor:
    """Local means with SSIM's window: 11 pixels, sigma 1.5."""
    offsets = torch.arange(-5.0, 6.0)
    window = torch.exp(-(offsets**2) / (2 * 1.5**2))
    window = (window / window.sum()).to(x)
    return F.conv2d(F.conv2d(x, window.view(1, 1, 1, -1)), window.view(1, 1, -1, 1))


def make_descriptor(metric: Metric, offline: bool = False) -> Descriptor:
    """The descriptor of a metric.

    Raises:
        OfflineError: the metric needs a network that is not here.
    """
    match metric:
        case Metric.LPIPS:
            return LpipsDescriptor(offline)
        case Metric.ENCODER:
            return EncoderDescriptor()
        case Metric.SSIM:
            return SsimDescriptor()
        case Metric.NCC:
            return NccDescriptor()


class Matcher:
    """Compares supports with query slices, one slice at a time.

    Args:
        descriptor: what is compared.
        pool: the P augmented supports.
        eligible: (P, K), whether augmented support p shows structure k.
    """

    def __init__(self, descriptor: Descriptor, pool: EncodedFrames, eligible: Tensor) -> None:
        self._descriptor = descriptor
        self._pool = pool
        self._eligible = eligible

    @cached_property
    def _described(self) -> Tensor:
        """The pool's descriptions (P, D), made when they are first needed."""
        first = self._descriptor.describe(self._pool, 0)
        described = first.new_empty(len(self._pool), len(first))  # filled in place: may be many
        described[0] = first
        for index in range(1, len(self._pool)):
            described[index] = self._descriptor.describe(self._pool, index)
        return described

    def distances(self, queries: EncodedFrames, index: int) -> Tensor:
        """(P, K) of the supports to one query slice; infinite where one lacks a structure."""
        query = self._descriptor.describe(queries, index)
        distances = self._descriptor.distances(query, self._described).cpu()
        return torch.where(self._eligible, distances[:, None], torch.inf)


def start_slice(distances: Sequence[Tensor]) -> int:
    """The query slice whose structures are matched best on average."""
    return int(torch.stack(list(distances)).mean(1).argmin())
