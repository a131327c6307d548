"""The support brought onto the query slice: the transform is searched, not drawn.

Slices are compared by MIND, the self-similarity descriptor of Heinrich et al. (Medical Image
Analysis 2012, doi 10.1016/j.media.2012.05.008; neighbours are also compared with each other, as in
their MICCAI 2013 paper), beside the ranks of their intensities, so that contrast may differ. A
coarse search finds a start, gradient descent an affine map, then a smooth displacement. What holds
for the whole slice is then bettered around each structure: the shift that fits its surroundings
best is searched exhaustively, and a displacement follows that heeds these surroundings alone.
Nothing is learned.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

_COARSE, _MIDDLE, _FINE = 48, 64, 96  # sides of the search, affine and displacement stages, pixels
_SHIFTS, _SCALES = (-0.12, 0.0, 0.12), (-0.12, 0.0, 0.12)  # of half the side; log zoom
_AFFINE_STEPS, _AFFINE_RATE = 40, 0.01
_FIELD_STEPS, _FIELD_RATE, _FIELD_NODES = 60, 0.01, 16
_SMOOTHNESS = 0.3
_LOCAL_STEPS, _LOCAL_REACH, _LOCAL_SHIFT = 30, 4, 12  # pixels around a structure; largest shift
_SHIFT_PENALTY = 0.05
_NEIGHBOURS = ((-1, 0), (0, 1), (1, 0), (0, -1))
_DISTANCE = 2  # pixels between a pixel and its neighbours in MIND


def register(query: Tensor, support: Tensor) -> Tensor:
    """Find where each position of the query slice lies in the support.

    Args:
        query: (B, 1, S, S) slices in [0, 1].
        support: (B, 1, S, S), one for each of them.

    Returns:
        (B, S, S, 2) positions (x, y) in [-1, 1], for ``warp``.
    """
    with _one_thread(), torch.inference_mode(False), torch.enable_grad():
        query, support = query.clone(), support.clone()
        start = _search(_small(query, _COARSE), _small(support, _COARSE))
        affine = _descend_affine(_small(query, _MIDDLE), _small(support, _MIDDLE), start)
        fixed, moving = (_describe(_small(x, _FINE)) for x in (query, support))
        everywhere = torch.ones_like(fixed[:, :1])
        base = _affine_grid(affine, _FINE)
        field = _descend_field(fixed, moving, base, everywhere, _FIELD_STEPS)
        return _affine_grid(affine, query.shape[-1]) + _to_grid(field, query.shape[-1])


def refine(query: Tensor, support: Tensor, masks: Tensor, grid: Tensor) -> Tensor:
    """Better a registration around each structure.

    Args:
        query: (1, S, S) slice in [0, 1].
        support: (K, 1, S, S), the support of each structure, as it was before registration.
        masks: (K, S, S), the structures on it.
        grid: (K, S, S, 2), from ``register``.

    Returns:
        (K, S, S, 2) positions for ``warp``; as they were for a structure that lies outside.
    """
    with _one_thread(), torch.inference_mode(False), torch.enable_grad():
        query, grid = query.clone(), grid.clone()
        near = _surroundings(_small(warp(masks.clone()[:, None], grid), _FINE))
        fixed = _describe(_small(query[None], _FINE)).expand(len(grid), -1, -1, -1)
        moving = _describe(_small(warp(support.clone(), grid), _FINE))
        shift = torch.stack(
            [_search_shift(*each) for each in zip(fixed, moving, near, strict=True)]
        )
        zero = torch.zeros_like(shift[:, :1])
        moved_by = torch.cat([-2 * shift / _FINE, *[zero] * 4], 1)
        base = _affine_grid(moved_by, _FINE)
        field = _descend_field(fixed, moving, base, _sample(near, base), _LOCAL_STEPS)
        local = _affine_grid(moved_by, query.shape[-1]) + _to_grid(field, query.shape[-1])
        found = _sample(grid.permute(0, 3, 1, 2), local).permute(0, 2, 3, 1)
        inside = near.flatten(1).any(1)[:, None, None, None]
        return torch.where(inside, found, grid)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other cost more than they bring on grids as small as these."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def warp(images: Tensor, grid: Tensor) -> Tensor:
    """Images or soft masks (B, C, S, S) at the positions (B, S, S, 2); outside is 0."""
    return F.grid_sample(images, grid, mode="bilinear", align_corners=False)


def mind(images: Tensor) -> Tensor:
    """Eight self-similarities (B, 8, h, w) of images (B, 1, h, w), in [0, 1]."""
    around = [_shift(images, dy * _DISTANCE, dx * _DISTANCE) for dy, dx in _NEIGHBOURS]
    pairs = [around[n] - around[(n + 1) % 4] for n in range(4)] + [a - images for a in around]
    distance = _blur(torch.cat(pairs, 1) ** 2, 1.0)
    distance = distance - distance.amin(1, keepdim=True)
    variance = distance.mean(1, keepdim=True)
    typical = variance.mean((1, 2, 3), keepdim=True)
    variance = variance.maximum(0.05 * typical + 1e-6).minimum(20 * typical + 1e-5)
    return torch.exp(-distance / variance)


def _describe(images: Tensor) -> Tensor:
    """MIND and intensity ranks (B, 9, h, w)."""
    flat = images.flatten(1)
    ranks = flat.argsort(1).argsort(1).to(images.dtype) / flat.shape[1]
    return torch.cat([mind(images), ranks.view_as(images)], 1)


def _search(query: Tensor, support: Tensor) -> Tensor:
    """The best of a grid of affine parameters (B, 6) by correlation of blurred slices."""
    query, support = _blur(query, 0.5), _blur(support, 0.5)
    best = query.new_full((len(query),), -torch.inf)
    found = query.new_zeros(len(query), 6)
    for base in (_moments(query, support), torch.zeros_like(found)):
        for dx, dy, zoom in itertools.product(_SHIFTS, _SHIFTS, _SCALES):
            tried = base + base.new_tensor((dx, dy, 0, zoom, zoom, 0))
            moved = _sample(support, _affine_grid(tried, query.shape[-1]))
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


def _descend_affine(query: Tensor, support: Tensor, start: Tensor) -> Tensor:
    """Affine parameters (B, 6), by gradient descent from ``start``."""
    fixed, moving = _describe(query), _describe(support)
    parameters = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([parameters], _AFFINE_RATE)
    for _ in range(_AFFINE_STEPS):
        moved = _sample(moving, _affine_grid(parameters, query.shape[-1]))
        _step(optimiser, _unlikeness(fixed, moved, torch.ones_like(fixed[:, :1])))
    return parameters.detach()


def _descend_field(
    fixed: Tensor, moving: Tensor, base: Tensor, weight: Tensor, steps: int
) -> Tensor:
    """A smooth displacement (B, 2, h, w) on top of the positions ``base``.

    Args:
        fixed: descriptions (B, 9, h, w) of the query.
        moving: those of the support.
        base: (B, h, w, 2).
        weight: (B, 1, h, w), how much each pixel of ``fixed`` counts.
        steps: of the descent.
    """
    side = fixed.shape[-1]
    nodes = fixed.new_zeros(len(fixed), 2, _FIELD_NODES, _FIELD_NODES).requires_grad_()
    optimiser = torch.optim.Adam([nodes], _FIELD_RATE)
    for _ in range(steps):
        moved = _sample(moving, base + _to_grid(nodes, side))
        roughness = nodes.diff(dim=2).pow(2).mean((1, 2, 3)) + nodes.diff(dim=3).pow(2).mean(
            (1, 2, 3)
        )
        _step(
            optimiser,
            _unlikeness(fixed, moved, weight) + _SMOOTHNESS * _FIELD_NODES * roughness.sum(),
        )
    return nodes.detach()


def _surroundings(masks: Tensor) -> Tensor:
    """Weights (K, 1, h, w) of the structures and what lies within reach; soft edges."""
    side = 2 * _LOCAL_REACH + 1
    grown = F.max_pool2d((masks >= 0.4).to(masks.dtype), side, 1, _LOCAL_REACH)
    return _blur(grown, 1.0)


def _search_shift(fixed: Tensor, moving: Tensor, weight: Tensor) -> Tensor:
    """The shift (x, y) in pixels at which ``moving`` fits best where ``weight`` is.

    Weighted squared differences at every shift at once, as correlations; far shifts cost.

    Args:
        fixed: (9, h, w), the query.
        moving: (9, h, w), the support.
        weight: (1, h, w).
    """
    if not weight.any():
        return fixed.new_zeros(2)
    reach = _LOCAL_SHIFT
    rows, columns = (weight[0] > 1e-3).nonzero().unbind(1)
    box = (..., slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    patch, share = moving[box], weight[box]
    wide = F.pad(fixed[None], (reach,) * 4, mode="replicate")[0]
    height, width = patch.shape[-2:]
    top, left = int(rows.min()), int(columns.min())
    wide = wide[:, top : top + height + 2 * reach, left : left + width + 2 * reach]
    cross = F.conv2d(wide[None], (share * patch)[None])[0, 0]
    energy = F.conv2d(wide.pow(2).sum(0)[None, None], share[None])[0, 0]
    steps = torch.arange(-reach, reach + 1).to(fixed)
    far = (steps[:, None] ** 2 + steps**2) / reach**2
    cost = (energy - 2 * cross) / weight.sum() + _SHIFT_PENALTY * far
    best = int(cost.argmin())
    return torch.stack([steps[best % len(steps)], steps[best // len(steps)]])


def _unlikeness(fixed: Tensor, moved: Tensor, weight: Tensor) -> Tensor:
    """The weighted mean squared difference, summed over the batch."""
    difference = (fixed - moved).pow(2).mean(1, keepdim=True)
    total = weight.sum((1, 2, 3)).clamp(min=1e-6)
    return ((weight * difference).sum((1, 2, 3)) / total).sum()


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def _affine_grid(parameters: Tensor, side: int) -> Tensor:
    """Positions (B, side, side, 2) for shift x, y, rotation, log zoom x, y and shear (B, 6)."""
    dx, dy, angle, zoom_x, zoom_y, shear = parameters.unbind(1)
    x, y = zoom_x.exp(), zoom_y.exp()
    first = torch.stack([angle.cos() * x, shear - angle.sin() * y, dx], -1)
    second = torch.stack([angle.sin() * x, angle.cos() * y, dy], -1)
    size = [len(parameters), 1, side, side]
    return F.affine_grid(torch.stack([first, second], 1), size, align_corners=False)


def _sample(images: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    a, b = (F.normalize((x - x.mean((1, 2, 3), keepdim=True)).flatten(1), dim=1) for x in (a, b))
    return (a * b).sum(1)


def _small(images: Tensor, side: int) -> Tensor:
    return F.adaptive_avg_pool2d(images, side)


def _to_grid(nodes: Tensor, side: int) -> Tensor:
    """A displacement (B, side, side, 2) from its nodes (B, 2, n, n), blurred, then bicubic."""
    one_node = _blur(torch.eye(_FIELD_NODES)[None, :, None], 0.7)  # row n: what node n does
    spread = F.interpolate(one_node, (1, side), mode="bicubic", align_corners=False)[0, :, 0]
    spread = spread.to(nodes)
    return torch.einsum("bcij,iy,jx->byxc", nodes, spread, spread)


def _shift(images: Tensor, dy: int, dx: int) -> Tensor:
    height, width = images.shape[-2:]
    padded = F.pad(images, (_DISTANCE,) * 4, mode="replicate")
    top, left = _DISTANCE + dy, _DISTANCE + dx
    return padded[..., top : top + height, left : left + width]


def _blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of each channel, edges repeated."""
    radius = round(3 * sigma)
    window = torch.exp(-torch.arange(-radius, radius + 1.0).pow(2) / (2 * sigma**2)).to(x)
    window = (window / window.sum()).view(1, 1, 1, -1).expand(x.shape[1], 1, 1, -1)
    x = F.conv2d(F.pad(x, (radius, radius, 0, 0), mode="replicate"), window, groups=x.shape[1])
    x = F.pad(x, (0, 0, radius, radius), mode="replicate")
    return F.conv2d(x, window.transpose(2, 3), groups=x.shape[1])
