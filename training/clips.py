"""Training clips: supports and queries of one or two 'patients', with the targets' masks."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from training.anatomy import (
    CRESCENT,
    INNER,
    LARGE,
    OUTER,
    POOL,
    RING,
    SLOTS,
    TWIN_A,
    TWIN_B,
    Organs,
    draw_organs,
)
from training.appearance import draw_tissues, normalise, render
from training.rng import Draw
from training.shapes import (
    FIRST_ORGAN,
    FIRST_REGION,
    LABELS,
    draw_body,
    frame_points,
    paint,
    take_frames,
)

FRAMES = 4
SMALL = 30  # pixels (at 128 px) on a labelled slice, the smallest target that is chosen
TINY = 6  # a mask with fewer pixels (at 128 px) counts neither as present nor as absent


@dataclass
class Clip:
    """A batch of clips; frames [0, supports) are labelled, the others are to be segmented."""

    pixels: Tensor  # (B, T, 3, H, W)
    masks: Tensor  # (B, K, T, H, W) bool
    valid: Tensor  # (B, K) the first support shows the target
    supports: int
    chain: bool  # do predictions enter the memory of the frames after them?


@dataclass(frozen=True)
class Plan:
    """What a batch of clips consists of."""

    batch: int = 8
    targets: int = 4
    size: int = 128
    cross: float = 0.7  # share of clips whose query is another patient
    absent: float = 0.4  # share of query frames that lie past the focus organ's end
    closeup: float = 0.5  # share of clips that show a part of the body


def draw_kind(coin: torch.Generator) -> tuple[int, bool]:
    """Number of supports and whether predictions chain, for one batch; coin is a CPU source."""
    u = float(torch.rand((), generator=coin))
    if u < 0.5:
        return 1, False
    if u < 0.7:
        return 3, False
    return (1, True) if u < 0.88 else (2, True)


def make_clips(draw: Draw, plan: Plan, supports: int, chain: bool) -> Clip:
    """A batch of clips on the draw's device."""
    b = plan.batch
    organs, body = draw_organs(draw, b), draw_body(draw, b)
    cross = draw.coin(b, chance=plan.cross)
    patient = (torch.arange(FRAMES, device=draw.device) >= supports).long()
    focus = _focus(draw, organs)
    z = _heights(draw, organs, focus, plan, supports, chain)
    frames = _patients(draw, organs, patient, cross)
    pose = _poses(draw, organs, focus, plan, patient, cross)
    warp = _warps(draw, patient, cross, b, plan.size // 2)
    labels = paint(frames, body, frame_points(z, pose, warp, plan.size // 2), plan.size)
    masks, valid = _targets(draw, organs, labels, focus, plan, supports)
    tissues = draw_tissues(draw, organs.material, 2, cross)
    grey = render(draw, labels, tissues, supports, cross)
    grey, masks = _mirror(draw, grey, masks)
    return Clip(normalise(grey), masks, valid, supports, chain)


def _focus(draw: Draw, organs: Organs) -> Tensor:
    """The organ that the clip is about: (B,) slot."""
    weights = torch.ones_like(organs.angle)
    for slot, weight in ((RING, 4), (POOL, 2), (CRESCENT, 2), (TWIN_A, 2), (TWIN_B, 2), (LARGE, 3)):
        weights[:, slot] = weight
    return draw.choice(weights * organs.alive + 1e-4, 1)[:, 0]


def _of_focus(values: Tensor, focus: Tensor) -> Tensor:
    return values[torch.arange(len(focus), device=focus.device), focus]


def _heights(
    draw: Draw, organs: Organs, focus: Tensor, plan: Plan, supports: int, chain: bool
) -> Tensor:
    """Slice positions (B, T): supports inside the focus organ, queries near or past its end."""
    b, queries = len(focus), FRAMES - supports
    centre = _of_focus(organs.centre, focus)[:, 2:]
    reach = _of_focus(organs.radius, focus)[:, 2:].clamp(max=1.2)
    if supports == 1:
        at = draw.uniform(b, 1, low=-0.8, high=0.8)
    else:
        line = torch.linspace(-0.65, 0.65, supports, device=draw.device)
        at = line + draw.uniform(b, supports, low=-0.2, high=0.2)
    if chain:
        way = torch.where(draw.coin(b, 1), 1.0, -1.0)
        step = draw.log_uniform(b, 1, low=0.05, high=0.6)
        ahead = torch.arange(1, queries + 1, device=draw.device)
        return centre + reach * torch.cat([at, at[:, :1] + way * step * ahead], 1)
    away = draw.log_uniform(b, 1, low=0.05, high=0.5)  # share of the organ's reach
    near = at[:, :1] + away * draw.normal(b, queries)
    if supports > 1:
        near = draw.uniform(b, queries, low=-0.95, high=0.95)
    past = torch.where(draw.coin(b, queries), 1.0, -1.0) * draw.uniform(
        b, queries, low=1.05, high=1.7
    )
    gone = draw.coin(b, queries, chance=plan.absent)
    return centre + reach * torch.cat([at, torch.where(gone, past, near.clamp(-0.95, 0.95))], 1)


def _patients(draw: Draw, organs: Organs, patient: Tensor, cross: Tensor) -> Organs:
    """Per-frame organ parameters: the query's patient has other sizes, places and surfaces."""
    b = len(cross)
    strength = (draw.uniform(b, low=0.3, high=1.0) * cross)[:, None, None, None]
    frames = take_frames(organs, len(patient))

    def between(*shape: int) -> Tensor:
        """Normal numbers per patient, gathered per frame."""
        return draw.normal(b, 2, SLOTS, *shape)[:, patient]

    grow = (between(3) * 0.12 * strength).exp()
    frames.radius = frames.radius * grow
    frames.centre = frames.centre + between(3) * 0.04 * strength
    frames.angle = frames.angle + between() * 0.12 * strength[..., 0]
    frames.bend = frames.bend + between() * 0.08 * strength[..., 0]
    frames.phase = frames.phase + between(1) * 0.4 * strength
    frames.tilt = frames.tilt + between(2) * 0.05 * strength
    _keep_ring_together(organs, frames)
    return frames


def _keep_ring_together(organs: Organs, frames: Organs) -> None:
    """Nested and hugging organs move and grow with the organ that they belong to."""
    for slot, owner in ((POOL, RING), (CRESCENT, RING), (INNER, OUTER)):
        moved = frames.centre[:, :, owner] - organs.centre[:, None, owner]
        own = frames.centre[:, :, slot] - organs.centre[:, None, slot]
        frames.centre[:, :, slot] = organs.centre[:, None, slot] + moved + 0.25 * (own - moved)
        grown = frames.radius[:, :, owner] / organs.radius[:, None, owner]
        own = frames.radius[:, :, slot] / organs.radius[:, None, slot]
        frames.radius[:, :, slot] = organs.radius[:, None, slot] * grown * (own / grown) ** 0.4
        frames.tilt[:, :, slot] = frames.tilt[:, :, owner]


def _poses(
    draw: Draw, organs: Organs, focus: Tensor, plan: Plan, patient: Tensor, cross: Tensor
) -> Tensor:
    """Affine from field of view to anatomy, per frame: (B, T, 2, 3)."""
    b = len(focus)
    radius = _of_focus(organs.radius, focus)[:, :2].mean(-1)
    fit = (0.75 / (radius * draw.log_uniform(b, low=1.3, high=4.0))).clamp(1.0, 5.0)
    close = draw.coin(b, chance=plan.closeup)
    zoom = torch.where(close, fit, draw.uniform(b, low=0.85, high=1.15))
    centre = _of_focus(organs.centre, focus)[:, :2] + draw.normal(b, 2, scale=0.25) / zoom[:, None]
    centre = torch.where(close[:, None], centre, draw.normal(b, 2, scale=0.05))
    strength = (draw.uniform(b, low=0.3, high=1.0) * cross)[:, None]
    angle = draw.normal(b, 2, scale=0.16)[:, patient] * strength
    grow = (draw.normal(b, 2, 2, scale=0.11)[:, patient] * strength[..., None]).exp()
    move = draw.normal(b, 2, 2, scale=0.13)[:, patient] * strength[..., None]
    wobble = draw.normal(b, len(patient), 2) * draw.uniform(b, 1, 1, high=0.02)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1)
    linear = turn.unflatten(-1, (2, 2)) * grow[..., None, :] / zoom[:, None, None, None]
    shift = centre[:, None] + (move + wobble) / zoom[:, None, None]
    return torch.cat([linear, shift[..., None]], -1)


def _warps(draw: Draw, patient: Tensor, cross: Tensor, b: int, side: int) -> Tensor:
    """Smooth elastic displacement per patient: (B, T, 3, side, side)."""
    total = torch.zeros(b * 2, 3, side, side, device=draw.device)
    for grid, scale in ((4, 0.045), (8, 0.015)):
        field = draw.normal(b * 2, 3, grid, grid, scale=scale)
        total = total + F.interpolate(field, size=(side, side), mode="bicubic")
    total = total.view(b, 2, 3, side, side)
    strength = draw.uniform(b, low=0.2, high=1.2)[:, None, None, None]
    same = torch.where(cross[:, None, None, None], total[:, 1], total[:, 0])
    return (torch.stack([total[:, 0], same], 1) * strength[:, None])[:, patient]


def _targets(
    draw: Draw, organs: Organs, labels: Tensor, focus: Tensor, plan: Plan, supports: int
) -> tuple[Tensor, Tensor]:
    """Masks (B, K, T, H, W) of the chosen targets, and which of them the support shows."""
    b, k = plan.batch, plan.targets
    member = _candidates(draw, b)
    counts = torch.zeros(b, LABELS, device=draw.device)
    first = labels[:, :supports].flatten(1)
    counts.scatter_add_(1, first, torch.ones_like(first, dtype=torch.float32))
    area = (member * counts[:, None]).sum(-1) / (supports * plan.size**2)
    weights = ((area > SMALL / 128**2) & (area < 0.5)).float()
    weights[:, :FIRST_ORGAN] *= 0.05
    weights[torch.arange(b, device=draw.device), FIRST_ORGAN + focus] *= 4
    picked = draw.choice(weights + 1e-6, k)
    chosen = member.gather(1, picked[..., None].expand(-1, -1, LABELS))  # (B, K, L)
    index = labels.flatten(1)[:, None].expand(-1, k, -1)
    masks = chosen.gather(2, index).view(b, k, *labels.shape[1:])
    visible = masks[:, :, :supports].flatten(3).sum(-1).amax(-1)
    return masks, visible > TINY * (plan.size / 128) ** 2


def _candidates(draw: Draw, b: int) -> Tensor:
    """Which labels make up each candidate target, (B, LABELS, LABELS) bool; air is none."""
    member = torch.eye(LABELS, device=draw.device, dtype=torch.bool).repeat(b, 1, 1)
    whole = draw.coin(b, chance=0.15)
    for owner, part in ((RING, POOL), (OUTER, INNER)):
        member[:, FIRST_ORGAN + owner, FIRST_ORGAN + part] = whole
    member[:, :FIRST_REGION] = False
    return member


def _mirror(draw: Draw, grey: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Clips are mirrored and turned as a whole: scans come in any orientation."""
    for chance, change in ((0.5, _left_right), (0.3, _up_down), (0.2, _transpose)):
        flip = draw.coin(grey.shape[0], chance=chance)
        grey = torch.where(flip[:, None, None, None], change(grey), grey)
        masks = torch.where(flip[:, None, None, None, None], change(masks), masks)
    return grey, masks


def _left_right(x: Tensor) -> Tensor:
    return x.flip(-1)


def _up_down(x: Tensor) -> Tensor:
    return x.flip(-2)


def _transpose(x: Tensor) -> Tensor:
    return x.transpose(-1, -2)
