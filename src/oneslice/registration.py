"""The support brought onto the query slice: the transform is searched, not drawn.

A coarse search finds a start, gradient descent an affine map; then every small displacement is
tried (``convex``), and descent makes a smooth one of them, all by what ``mind`` describes. What
holds for the whole slice is then bettered around each structure: the shift that fits its
surroundings best is searched exhaustively, and a displacement follows that heeds these surroundings
alone. Nothing is learned.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from oneslice.convex import search_displacement
from oneslice.descent import descend_affine, descend_displacement
from oneslice.mind import blur, describe, within
from oneslice.shift import search_shift
from oneslice.transform import Transform, affine_grid, sample, warp

_COARSE, _MIDDLE, _FINE = 48, 64, 96  # sides of the search, affine and displacement stages, pixels
_SHIFTS, _SCALES = (-0.12, 0.0, 0.12), (-0.12, 0.0, 0.12)  # of half the side; log zoom
_FIELD_STEPS, _FIELD_RATE = 10, 0.02
_LOCAL_STEPS, _LOCAL_RATE = 20, 0.014
_LOCAL_REACH = 4  # pixels around a structure
_MISFIT, _MISFIT_BLUR = 24, 6.0  # side of the map of what does not fit; blur, fine pixels
LOST = 9.0  # the cost of a structure that lies outside the slice; any that is inside costs less


@dataclass(frozen=True)
class Described:
    """What registration needs to know of B slices, made once for many registrations.

    Args:
        coarse: (B, 1, h, w) blurred, for the search.
        middle: (B, 9, h, w) descriptions, for the affine map.
        fine: (B, 9, h, w) descriptions, for displacements.
        image: (B, 1, h, w) on the fine grid.
    """

    coarse: Tensor
    middle: Tensor
    fine: Tensor
    image: Tensor

    @classmethod
    def of(cls, images: Tensor) -> Described:
        """Describe slices (B, 1, S, S) in [0, 1]."""
        with _one_thread(), torch.inference_mode(False):
            images = images.clone()
            image = _small(images, _FINE)
            middle = describe(_small(images, _MIDDLE))
            return cls(blur(_small(images, _COARSE), 0.5), middle, describe(image), image)

    @classmethod
    def stack(cls, parts: Sequence[Described]) -> Described:
        """Join along B."""
        return cls(
            torch.cat([p.coarse for p in parts]),
            torch.cat([p.middle for p in parts]),
            torch.cat([p.fine for p in parts]),
            torch.cat([p.image for p in parts]),
        )

    def select(self, index: Tensor | Sequence[int]) -> Described:
        """The slices ``index``; a slice may be taken often."""
        return Described(
            self.coarse[index], self.middle[index], self.fine[index], self.image[index]
        )


def register(query: Described, support: Described, *, same_scan: bool = False) -> Transform:
    """Find where each position of the query slices lies in the supports, one for each of them.

    Args:
        query: B slices.
        support: B others.
        same_scan: whether both are of one scan; then they are near each other, and a displacement
            that is searched only leads astray.
    """
    with _one_thread(), torch.inference_mode(False), torch.enable_grad():
        found = _search(query.coarse, support.coarse)
        affine = descend_affine(query.middle, support.middle, found)
        start = Transform.affine_only(affine)
        if not same_scan:
            moved = sample(support.fine, start.grid(_FINE))
            start = Transform.displaced(affine, search_displacement(query.fine, moved))
        everywhere = torch.ones_like(query.fine[:, :1])
        return descend_displacement(
            query.fine, support.fine, start, everywhere, _FIELD_STEPS, _FIELD_RATE
        )


@dataclass(frozen=True)
class Refined:
    """Registrations bettered around K structures, and how well they fit.

    Args:
        local: K transforms within the query slice, for ``whole.after``.
        cost: (K,), the mean squared difference of the descriptions around each structure. One that
            lies outside the slice is left where it is, at a cost above all others.
        misfit: (K, n, n), the squared difference everywhere, blurred.
    """

    local: Transform
    cost: Tensor
    misfit: Tensor


def refine(
    query: Described, support: Described, whole: Transform, place: Tensor, masks: Tensor
) -> Refined:
    """Better registrations around structures, and say how well they fit.

    Args:
        query: B slices.
        support: B others, as they were before registration.
        whole: B transforms, from ``register``.
        place: (K,), which of these pairs shows each structure.
        masks: (K, S, S), the structures on the supports.
    """
    with _one_thread(), torch.inference_mode(False), torch.enable_grad():
        grid = whole.grid(_FINE)
        moving = describe(warp(support.image, grid))[place]
        fixed, whole, grid = query.fine[place], whole.select(place), grid[place]
        mask = _small(masks.clone()[:, None], _FINE)
        near = _surroundings(warp(mask, grid))
        shifts = [search_shift(*each) for each in zip(fixed, moving, near, strict=True)]
        start = Transform.affine_only(F.pad(-2 * torch.stack(shifts) / _FINE, (0, 4)))
        weight = sample(near, start.grid(_FINE))
        local = descend_displacement(fixed, moving, start, weight, _LOCAL_STEPS, _LOCAL_RATE)
        grid = whole.after(local, _FINE)
        moved = describe(warp(support.image[place], grid))
        difference = (moved - fixed).pow(2).mean(1, keepdim=True)
        misfit = _small(blur(difference, _MISFIT_BLUR), _MISFIT)[:, 0]
        return Refined(local, _cost(difference, warp(mask, grid)), misfit)


def _cost(difference: Tensor, mask: Tensor) -> Tensor:
    """The mean (K,) of differences (K, 1, h, w) around structures (K, 1, h, w)."""
    near = _surroundings(mask)
    total = near.sum((1, 2, 3))
    cost = (near * difference).sum((1, 2, 3)) / total.clamp(min=1)
    return torch.where(total > 1, cost, LOST)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other cost more than they bring on grids as small as these."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _search(query: Tensor, support: Tensor) -> Tensor:
    """The best of a grid of affine parameters (B, 6) by correlation of blurred slices."""
    best = query.new_full((len(query),), -torch.inf)
    found = query.new_zeros(len(query), 6)
    for base in (_moments(query, support), torch.zeros_like(found)):
        for dx, dy, zoom in itertools.product(_SHIFTS, _SHIFTS, _SCALES):
            tried = base + base.new_tensor((dx, dy, 0, zoom, zoom, 0))
            moved = sample(support, affine_grid(tried, query.shape[-1]))
            likeness = _correlation(query, moved)
            better = likeness > best
            best = torch.where(better, likeness, best)
            found = torch.where(better[:, None], tried, found)
    return found


def _moments(query: Tensor, support: Tensor) -> Tensor:
    """The shift and zoom (B, 6) that bring the centres and widths of both bodies together."""
    centre_q, width_q = _centre_and_width(query)
    centre_s, width_s = _centre_and_width(support)
    zoom = (width_s / width_q).log().clamp(-0.3, 0.3)
    shift = centre_s - zoom.exp() * centre_q
    zero = torch.zeros_like(zoom[:, :1])
    return torch.cat([shift, zero, zoom, zero], 1)


def _centre_and_width(images: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 2) each, of what is brighter than 0.7 of the mean; x before y."""
    body = (images > 0.7 * images.mean((2, 3), keepdim=True)).to(images.dtype)
    body = body / body.sum((2, 3), keepdim=True).clamp(min=1)
    axis = (torch.arange(images.shape[-1]).to(images) * 2 + 1) / images.shape[-1] - 1
    positions = torch.stack([axis.expand(len(axis), -1), axis[:, None].expand(-1, len(axis))])
    centre = (body * positions).sum((2, 3))
    spread = (body * (positions - centre[:, :, None, None]) ** 2).sum((2, 3))
    return centre, spread.sqrt().clamp(min=1e-3)


def _surroundings(masks: Tensor) -> Tensor:
    """Weights (K, 1, h, w) of the structures and what lies within reach; soft edges.

    A structure smaller than a pixel of this grid fills none, so each is measured by its maximum.
    """
    inside = masks > 0.4 * masks.amax((2, 3), keepdim=True)
    return blur(within(inside[:, 0], _LOCAL_REACH)[:, None].to(masks.dtype), 1.0)


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    a, b = (F.normalize((x - x.mean((1, 2, 3), keepdim=True)).flatten(1), dim=1) for x in (a, b))
    return (a * b).sum(1)


def _small(images: Tensor, side: int) -> Tensor:
    return F.adaptive_avg_pool2d(images, side)
