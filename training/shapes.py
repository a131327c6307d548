"""From organ parameters to label maps: batched implicit functions on a coarse grid."""

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from training.anatomy import SLOTS, WAVES, Organs
from training.rng import Draw

AIR, FAT, MUSCLE = range(3)
REGIONS = 5  # noise-shaped tissues between the organs
FIRST_REGION = 3
FIRST_ORGAN = FIRST_REGION + REGIONS
LABELS = FIRST_ORGAN + SLOTS


@dataclass
class Body:
    """The outline of the body and the tissues between the organs."""

    radius: Tensor  # (B, 2)
    layers: Tensor  # (B, 2) where muscle and inside begin
    frequency: Tensor  # (B, REGIONS, WAVES, 3)
    phase: Tensor  # (B, REGIONS, WAVES)
    outline: Tensor  # (B, WAVES, 2) frequency, phase of the outline's waves


def draw_body(draw: Draw, batch: int) -> Body:
    """Elliptic bodies; a quarter of them fill the field of view."""
    radius = draw.uniform(batch, 2, low=0.6, high=0.98)
    full = draw.coin(batch, 1, chance=0.25)
    radius = torch.where(full, 4.0, radius)
    inside = draw.uniform(batch, 2, low=0.8, high=0.99).sort(-1).values.flip(-1)
    scale = draw.log_uniform(batch, 1, 1, 1, low=1.5, high=7.0)
    return Body(
        radius=radius,
        layers=inside,
        frequency=draw.normal(batch, REGIONS, WAVES, 3) * scale,
        phase=draw.uniform(batch, REGIONS, WAVES, low=0.0, high=2 * torch.pi),
        outline=draw.normal(batch, WAVES, 2),
    )


def frame_points(z: Tensor, pose: Tensor, warp: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Anatomy coordinates of every pixel.

    z (B, T); pose (B, T, 2, 3) affine from the field of view; warp (B, T, 3, side, side).
    Returns x, y (B, T, side, side) and z (B, T, side, side).
    """
    line = torch.linspace(-1, 1, side, device=z.device)
    y, x = torch.meshgrid(line, line, indexing="ij")
    one = torch.ones_like(x)
    flat = torch.stack([x, y, one], 0).flatten(1)
    xy = (pose @ flat).unflatten(-1, (side, side)) + warp[:, :, :2]
    return xy[:, :, 0], xy[:, :, 1], z[..., None, None] + warp[:, :, 2]


def take_frames(organs: Organs, frames: int) -> Organs:
    """Repeats the parameters per frame: (B, O, ...) becomes (B, T, O, ...)."""
    values = {f.name: getattr(organs, f.name)[:, None] for f in fields(organs)}
    return Organs(**{k: v.expand(-1, frames, *v.shape[2:]).clone() for k, v in values.items()})


def organ_fields(organs: Organs, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Implicit functions, below 1 inside. Organs (B, T, O, ...), points (B, T, h, w).

    Returns (B, T, O, h, w).
    """

    def wide(parameter: Tensor) -> Tensor:
        return parameter[..., None, None]

    x, y, z = x[:, :, None], y[:, :, None], z[:, :, None]
    height = z - wide(organs.centre[..., 2])
    dx = x - wide(organs.centre[..., 0]) - wide(organs.tilt[..., 0]) * height
    dy = y - wide(organs.centre[..., 1]) - wide(organs.tilt[..., 1]) * height
    w = height / wide(organs.radius[..., 2])
    size = (1 + wide(organs.taper) * w.clamp(-1.5, 1.5)).clamp(min=0.4)
    cos, sin = wide(organs.angle.cos()), wide(organs.angle.sin())
    u = (cos * dx + sin * dy) / (wide(organs.radius[..., 0]) * size)
    v = (cos * dy - sin * dx) / (wide(organs.radius[..., 1]) * size)
    u, v = u.clamp(-3, 3), v.clamp(-3, 3)
    u = u + wide(organs.bend) * ((v * v).clamp(max=2.0) - 0.3)
    uu, vv = u * u, v * v
    box = wide(organs.square) * (uu * vv).clamp(max=1.0)
    distance = (uu + vv + box + w * w).clamp(min=1e-6).sqrt()
    surface = _waves(organs.frequency, organs.phase, u, v, w)
    inside = distance + wide(organs.amplitude) * surface
    return torch.where(wide(organs.alive), inside, torch.full_like(inside, 9.0))


def _waves(frequency: Tensor, phase: Tensor, u: Tensor, v: Tensor, w: Tensor) -> Tensor:
    """Sum of WAVES sine waves with falling weights, roughly unit variance."""
    total = torch.zeros_like(u)
    for k in range(WAVES):
        f = frequency[..., k, :, None, None]
        angle = f[..., 0, :, :] * u + f[..., 1, :, :] * v + f[..., 2, :, :] * w
        total = total + (angle + phase[..., k, None, None]).sin() / (1 + 0.5 * k)
    return 0.9 * total


def region_fields(body: Body, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Smooth fields whose maximum says the tissue between the organs: (B, T, REGIONS, h, w)."""
    return _waves(
        body.frequency[:, None], body.phase[:, None], x[:, :, None], y[:, :, None], z[:, :, None]
    )


def body_field(body: Body, x: Tensor, y: Tensor) -> Tensor:
    """Below 1 inside the body: (B, T, 1, h, w)."""
    radius = body.radius[:, None, :, None, None]
    u, v = x / radius[:, :, 0], y / radius[:, :, 1]
    turn = torch.atan2(v, u)
    wave = torch.zeros_like(u)
    for k in range(2):
        weight, phase = body.outline[:, k, 0], body.outline[:, k, 1]
        angle = (k + 2) * turn + phase[:, None, None, None] * 3
        wave = wave + 0.05 * weight[:, None, None, None] * angle.cos()
    return ((u * u + v * v).sqrt() + wave)[:, :, None]


def paint(organs: Organs, body: Body, points: tuple[Tensor, Tensor, Tensor], size: int) -> Tensor:
    """Label map (B, T, size, size): air, fat, muscle, regions, organs on top by priority."""
    x, y, z = points
    stack = torch.cat(
        [body_field(body, x, y), region_fields(body, x, y, z), organ_fields(organs, x, y, z)], 2
    )
    b, t = stack.shape[:2]
    fine = F.interpolate(stack.flatten(0, 1), size=(size, size), mode="bilinear")
    labels = fine[:, 1 : 1 + REGIONS].argmax(1) + FIRST_REGION
    shell, layers = fine[:, 0], body.layers.repeat_interleave(t, 0)[:, :, None, None]
    labels = torch.where(shell > layers[:, 1], MUSCLE, labels)
    labels = torch.where(shell > layers[:, 0], FAT, labels)
    labels = torch.where(shell > 1, AIR, labels)
    order = organs.priority.flatten(0, 1).argsort(-1)  # (BT, O) slot painted at each rank
    rank = order.argsort(-1).to(torch.uint8)[:, :, None, None] + 1
    indoors = (shell < layers[:, 1])[:, None]
    top = (
        (((fine[:, 1 + REGIONS :] < 1) & indoors) * rank).amax(1).long()
    )  # (BT, H, W), 0 where no organ
    slots = torch.cat([torch.zeros_like(order[:, :1]), order + FIRST_ORGAN], 1)
    painted = slots.gather(1, top.flatten(1)).view_as(top)
    return torch.where(top > 0, painted, labels).view(b, t, size, size)
