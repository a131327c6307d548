"""Random anatomies: implicit 3D organs in slots, batched; no Python loop over organs.

Coordinates: x, y in [-1, 1] span the field of view at zoom 1, z runs along the slices.
Slot layout: a ring with its content and a neighbour that hugs it, left/right twins, two large
organs that touch, a nested pair, a spine, and free slots (blobs, tubes, sheets).
"""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from training.rng import Draw

CRESCENT, RING, POOL, TWIN_A, TWIN_B, LARGE, NEIGHBOUR, OUTER, INNER, SPINE = range(10)
SLOTS = 16
WAVES = 4
MATERIALS = 12


@dataclass
class Organs:
    """Parameters of all organs; every tensor starts with (B, SLOTS)."""

    centre: Tensor  # (B, O, 3)
    radius: Tensor  # (B, O, 3)
    angle: Tensor  # (B, O)
    tilt: Tensor  # (B, O, 2) shift of the centre per unit of z
    bend: Tensor  # (B, O) makes beans and crescents
    square: Tensor  # (B, O) how box-like
    taper: Tensor  # (B, O) size change along z
    amplitude: Tensor  # (B, O) of the surface waves
    frequency: Tensor  # (B, O, W, 3)
    phase: Tensor  # (B, O, W)
    priority: Tensor  # (B, O) the higher one is painted on top
    material: Tensor  # (B, O) index of the tissue
    alive: Tensor  # (B, O)


def draw_organs(draw: Draw, batch: int) -> Organs:
    """A batch of anatomies."""
    organs = _free_organs(draw, batch)
    _make_ring(draw, organs)
    _make_twins(draw, organs)
    _make_large(draw, organs)
    _make_nested(draw, organs)
    _make_spine(draw, organs)
    return organs


def _free_organs(draw: Draw, b: int) -> Organs:
    """Blobs, tubes and sheets anywhere."""
    size = draw.log_uniform(b, SLOTS, low=0.04, high=0.3)
    radius = torch.stack([size, size, draw.log_uniform(b, SLOTS, low=0.2, high=1.2)], -1)
    radius[..., :2] *= draw.uniform(b, SLOTS, 2, low=0.7, high=1.4)
    tube = draw.coin(b, SLOTS, chance=0.25)
    radius[..., :2] = torch.where(tube[..., None], radius[..., :2] * 0.35, radius[..., :2])
    radius[..., 2] = torch.where(tube, draw.uniform(b, SLOTS, low=1.0, high=3.0), radius[..., 2])
    sheet = draw.coin(b, SLOTS, chance=0.08) & ~tube
    thin = torch.stack([draw.uniform(b, SLOTS, low=0.2, high=0.5), 0 * size + 0.035], -1)
    radius[..., :2] = torch.where(sheet[..., None], thin, radius[..., :2])
    centre = draw.uniform(b, SLOTS, 3, low=-0.6, high=0.6)
    centre[..., 2] *= 1.5
    waves = (
        draw.normal(b, SLOTS, WAVES, 3)
        * torch.linspace(1.2, 4.0, WAVES, device=size.device)[:, None]
    )
    return Organs(
        centre=centre,
        radius=radius.clamp(min=0.02),
        angle=draw.uniform(b, SLOTS, low=0.0, high=torch.pi),
        tilt=draw.normal(b, SLOTS, 2, scale=0.12) * (1 + tube[..., None].float()),
        bend=draw.normal(b, SLOTS, scale=0.25),
        square=draw.uniform(b, SLOTS, low=-0.3, high=1.5),
        taper=draw.uniform(b, SLOTS, low=-0.3, high=0.3),
        amplitude=draw.uniform(b, SLOTS, low=0.05, high=0.4),
        frequency=waves,
        phase=draw.uniform(b, SLOTS, WAVES, low=0.0, high=2 * torch.pi),
        priority=-size.log() + draw.normal(b, SLOTS, scale=0.4),
        material=draw.integers(b, SLOTS, high=MATERIALS - 1),
        alive=draw.coin(b, SLOTS, chance=0.8),
    )


def _copy_slot(organs: Organs, source: int, target: int) -> None:
    for f in fields(organs):
        getattr(organs, f.name)[:, target] = getattr(organs, f.name)[:, source]


def _make_ring(draw: Draw, organs: Organs) -> None:
    """A wall around a pool, and a crescent that hugs it; both contents share a tissue."""
    b = organs.angle.shape[0]
    size = draw.log_uniform(b, low=0.1, high=0.3)
    organs.radius[:, RING, :2] = size[:, None] * draw.uniform(b, 2, low=0.85, high=1.15)
    organs.radius[:, RING, 2] = draw.uniform(b, low=0.3, high=0.9)
    organs.amplitude[:, RING] *= 0.35
    organs.bend[:, RING] *= 0.2
    organs.priority[:, RING] += 1.0
    organs.alive[:, RING] = draw.coin(b, chance=0.75)
    _copy_slot(organs, RING, POOL)
    _copy_slot(organs, RING, CRESCENT)
    inner = draw.uniform(b, low=0.5, high=0.85)
    organs.radius[:, POOL, :2] *= inner[:, None]
    organs.radius[:, POOL, 2] *= draw.uniform(b, low=0.8, high=1.05)
    organs.centre[:, POOL, :2] += (size * (1 - inner) * 0.4)[:, None] * draw.normal(b, 2)
    direction = draw.uniform(b, low=0.0, high=2 * torch.pi)
    offset = (size * draw.uniform(b, low=0.7, high=1.3))[:, None]
    organs.centre[:, CRESCENT, :2] += offset * torch.stack([direction.cos(), direction.sin()], -1)
    organs.angle[:, CRESCENT] = direction
    organs.radius[:, CRESCENT, :2] *= draw.uniform(b, 2, low=0.7, high=1.2)
    organs.bend[:, CRESCENT] = draw.uniform(b, low=0.0, high=0.4)
    organs.amplitude[:, CRESCENT] *= 2.0
    organs.phase[:, CRESCENT] += draw.uniform(b, WAVES, low=0.0, high=2 * torch.pi)
    organs.priority[:, POOL] += 0.001
    organs.priority[:, CRESCENT] -= 0.001
    organs.alive[:, CRESCENT] &= draw.coin(b, chance=0.8)
    organs.material[:, RING] = (organs.material[:, POOL] + 1) % (MATERIALS - 1)


def _make_twins(draw: Draw, organs: Organs) -> None:
    """A left and a right organ of the same tissue, mirrored with small differences."""
    b = organs.angle.shape[0]
    size = draw.log_uniform(b, low=0.06, high=0.2)
    organs.radius[:, TWIN_A, :2] = size[:, None] * draw.uniform(b, 2, low=0.7, high=1.3)
    organs.radius[:, TWIN_A, 2] = draw.uniform(b, low=0.25, high=0.9)
    organs.centre[:, TWIN_A, 0] = draw.uniform(b, low=0.22, high=0.55)
    organs.amplitude[:, TWIN_A] *= 0.6
    organs.priority[:, TWIN_A] += 0.5
    _copy_slot(organs, TWIN_A, TWIN_B)
    organs.centre[:, TWIN_B, 0] *= -1
    organs.centre[:, TWIN_B] += draw.normal(b, 3, scale=0.05)
    organs.angle[:, TWIN_B] = -organs.angle[:, TWIN_A] + draw.normal(b, scale=0.2)
    organs.tilt[:, TWIN_B, 0] *= -1
    organs.radius[:, TWIN_B] *= draw.uniform(b, 3, low=0.85, high=1.15)
    organs.phase[:, TWIN_B] += draw.normal(b, WAVES, scale=0.5)


def _make_large(draw: Draw, organs: Organs) -> None:
    """A large organ at one side, and a smaller one that touches it."""
    b = organs.angle.shape[0]
    size = draw.uniform(b, low=0.22, high=0.5)
    side = draw.uniform(b, low=0.0, high=2 * torch.pi)
    along = torch.stack([side.cos(), 0.7 * side.sin()], -1)
    organs.radius[:, LARGE, :2] = size[:, None] * draw.uniform(b, 2, low=0.7, high=1.2)
    organs.radius[:, LARGE, 2] = draw.uniform(b, low=0.4, high=1.2)
    organs.centre[:, LARGE, :2] = (0.85 - size)[:, None] * along
    organs.priority[:, LARGE] = -size.log() + draw.normal(b, scale=0.4)
    turn = side + torch.pi + draw.normal(b, scale=0.8)
    reach = size + 0.8 * organs.radius[:, NEIGHBOUR, :2].mean(-1)
    step = torch.stack([turn.cos(), turn.sin()], -1) * reach[:, None]
    organs.centre[:, NEIGHBOUR, :2] = organs.centre[:, LARGE, :2] + step
    organs.centre[:, NEIGHBOUR, 2] = organs.centre[:, LARGE, 2] + draw.normal(b, scale=0.3)


def _make_nested(draw: Draw, organs: Organs) -> None:
    """One organ inside another."""
    b = organs.angle.shape[0]
    _copy_slot(organs, OUTER, INNER)
    ratio = draw.uniform(b, low=0.35, high=0.8)
    organs.radius[:, INNER] *= ratio[:, None]
    shift = (organs.radius[:, OUTER, :2].amin(-1) * (1 - ratio) * 0.5)[:, None]
    organs.centre[:, INNER, :2] += shift * draw.normal(b, 2)
    organs.phase[:, INNER] += draw.normal(b, WAVES, scale=0.6)
    organs.priority[:, INNER] += 0.001
    organs.material[:, INNER] = (organs.material[:, OUTER] + 1) % (MATERIALS - 1)
    organs.radius[:, INNER, 2] *= draw.uniform(b, low=0.9, high=1.8)


def _make_spine(draw: Draw, organs: Organs) -> None:
    """A bony column behind the middle, all along z."""
    b = organs.angle.shape[0]
    organs.centre[:, SPINE, 0] = draw.normal(b, scale=0.05)
    organs.centre[:, SPINE, 1] = draw.uniform(b, low=0.3, high=0.55)
    organs.radius[:, SPINE, :2] = draw.uniform(b, 2, low=0.07, high=0.14)
    organs.radius[:, SPINE, 2] = 8.0
    organs.tilt[:, SPINE] *= 0.3
    organs.material[:, SPINE] = MATERIALS - 1
