"""From label maps to pictures: tissue brightness, texture, blur, bias field, noise, contrast.

Everything that belongs to a scan (not to a slice) is drawn per patient and gathered per frame.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from training.anatomy import MATERIALS
from training.constants import constant
from training.rng import Draw
from training.shapes import AIR, FAT, FIRST_ORGAN, LABELS, MUSCLE

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@dataclass
class Tissues:
    """Brightness and texture of every label for each of P patients: (B, P, LABELS)."""

    brightness: Tensor
    roughness: Tensor


def draw_tissues(draw: Draw, material: Tensor, patients: int, cross: Tensor) -> Tissues:
    """Tissues of the support patient, and of the query patient where ``cross`` (B,) is set.

    material (B, O) names each organ's tissue; the last material is bone.
    """
    b = material.shape[0]
    table = _palette(draw, b)
    rough = draw.uniform(b, MATERIALS) ** 2 * draw.uniform(b, 1, low=0.01, high=0.15)
    rest = draw.uniform(b, LABELS)
    rest[:, AIR] = draw.uniform(b, high=0.06)
    rest[:, FAT] = torch.where(draw.coin(b), draw.uniform(b), draw.uniform(b, low=0.7))
    rest[:, MUSCLE] = draw.uniform(b, low=0.15, high=0.6)
    brightness = rest.clone()
    spread = draw.normal(b, LABELS - FIRST_ORGAN, scale=0.04)
    brightness[:, FIRST_ORGAN:] = table.gather(1, material) + spread
    roughness = draw.uniform(b, LABELS) ** 2 * 0.12
    roughness[:, FIRST_ORGAN:] = rough.gather(1, material)
    roughness[:, AIR] = 0.005
    return _per_patient(draw, brightness, roughness, patients, cross)


def _palette(draw: Draw, b: int) -> Tensor:
    """Brightness of the materials: MR-like (anything) or CT-like (soft tissues close together)."""
    free = draw.uniform(b, MATERIALS)
    soft = draw.uniform(b, 1, low=0.35, high=0.6) + draw.normal(b, MATERIALS, scale=0.13)
    soft = torch.where(draw.coin(b, MATERIALS, chance=0.15), 0.1 * free, soft)
    soft[:, -1] = draw.uniform(b, low=0.8, high=1.0)
    return torch.where(draw.coin(b, 1, chance=0.3), soft, free)


def _per_patient(
    draw: Draw, brightness: Tensor, roughness: Tensor, patients: int, cross: Tensor
) -> Tissues:
    """The second patient's tissues: mostly alike, sometimes a wholly different contrast."""
    b, labels = brightness.shape
    wide = brightness[:, None].repeat(1, patients, 1)
    scale = draw.uniform(b, 1, 1, low=0.0, high=0.1) * cross[:, None, None]
    shifted = wide + draw.normal(b, patients, labels) * scale
    other = cross & draw.coin(b, chance=0.1)
    fresh = draw.uniform(b, labels)
    shifted[:, -1] = torch.where(other[:, None], fresh, shifted[:, -1])
    return Tissues(shifted.clamp(0, 1.1), roughness[:, None].expand(-1, patients, -1))


def render(draw: Draw, labels: Tensor, tissues: Tissues, supports: int, cross: Tensor) -> Tensor:
    """Pictures in [0, 1] of labels (B, T, H, W); frames from ``supports`` on are patient 1."""
    b, t, h, _ = labels.shape
    patient = (torch.arange(t, device=draw.device) >= supports).long()
    grey = _lookup(tissues.brightness, labels, patient)
    rough = _lookup(tissues.roughness, labels, patient)
    grey = grey + rough * _texture(draw, b, t, h)
    grey = _blur(grey, _scan_value(draw, b, patient, cross, 0.2, 1.3) * h / 192)
    grey = _coarsen(draw, grey)
    grey = grey * _bias(draw, b, t, h, patient)
    noise = _scan_value(draw, b, patient, cross, 0.0, 0.06)[..., None, None]
    grey = grey + noise * _texture(draw, b, t, h, fine=0.75)
    return _contrast(draw, grey, supports, patient, cross)


def normalise(grey: Tensor) -> Tensor:
    """(..., H, W) in [0, 1] to SAM 2's three normalised channels (..., 3, H, W)."""
    mean = constant(MEAN, grey.device)[:, None, None]
    std = constant(STD, grey.device)[:, None, None]
    return (grey[..., None, :, :] - mean) / std


def _lookup(values: Tensor, labels: Tensor, patient: Tensor) -> Tensor:
    """values (B, P, L) at labels (B, T, H, W)."""
    frames = values[:, patient]
    return frames.gather(2, labels.flatten(2)).view(labels.shape)


def _scan_value(
    draw: Draw, b: int, patient: Tensor, cross: Tensor, low: float, high: float
) -> Tensor:
    """One number per scan, the same for both patients unless ``cross``: (B, T)."""
    values = draw.uniform(b, 2, low=low, high=high)
    differ = cross & draw.coin(b, chance=0.5)
    values[:, 1] = torch.where(differ, values[:, 1], values[:, 0])
    return values[:, patient]


def _texture(draw: Draw, b: int, t: int, h: int, fine: float = 0.4) -> Tensor:
    """Unit noise of mixed grain: (B, T, h, h)."""
    pixel = draw.normal(b, t, h, h)
    half = F.interpolate(draw.normal(b, t, h // 2, h // 2), size=(h, h), mode="bilinear")
    coarse = F.interpolate(draw.normal(b, t, h // 6, h // 6), size=(h, h), mode="bilinear")
    weight = constant((fine, 0.6, 0.6), draw.device)[None, :, None, None]
    mix = draw.uniform(b, 3, 1, 1) * weight
    mix = mix / mix.norm(dim=1, keepdim=True).clamp(min=1e-3)
    return mix[:, :1] * pixel + mix[:, 1:2] * half * 1.5 + mix[:, 2:] * coarse * 1.5


def _blur(x: Tensor, sigma: Tensor, reach: int = 3) -> Tensor:
    """Gaussian blur with one sigma per frame: x (B, T, H, W), sigma (B, T)."""
    b, t, h, w = x.shape
    line = torch.arange(-reach, reach + 1, device=x.device)
    kernel = torch.exp(-(line**2) / (2 * sigma.reshape(-1, 1).clamp(min=0.15) ** 2))
    kernel = kernel / kernel.sum(-1, keepdim=True)
    flat = F.pad(x.reshape(1, b * t, h, w), (reach,) * 4, mode="replicate")
    flat = F.conv2d(flat, kernel[:, None, None, :], groups=b * t)
    flat = F.conv2d(flat, kernel[:, None, :, None], groups=b * t)
    return flat.view(b, t, h, w)


def _coarsen(draw: Draw, x: Tensor) -> Tensor:
    """Some scans were acquired with fewer pixels: down and up again."""
    h = x.shape[-1]
    small = int(h / draw.host.uniform(1.4, 3.0))
    low = F.interpolate(x, size=(small, small), mode="area")
    low = F.interpolate(low, size=(h, h), mode="bicubic")
    return torch.where(draw.coin(x.shape[0], 1, 1, 1, chance=0.25), low, x)


def _bias(draw: Draw, b: int, t: int, h: int, patient: Tensor) -> Tensor:
    """Smooth multiplicative field, one per patient: (B, T, h, h)."""
    strength = draw.uniform(b, 1, 1, 1, low=0.0, high=0.3) * draw.coin(b, 1, 1, 1, chance=0.7)
    field = F.interpolate(draw.normal(b, 2, 4, 4), size=(h, h), mode="bicubic") * strength
    return field.exp()[:, patient]


def _contrast(draw: Draw, x: Tensor, supports: int, patient: Tensor, cross: Tensor) -> Tensor:
    """Robust range per patient, then gamma; seldom inversion, or a range far too wide, of both."""
    out = torch.cat([_robust(x[:, :supports]), _robust(x[:, supports:])], 1)
    gamma = _scan_value(draw, x.shape[0], patient, cross, -0.4, 0.4).exp()[..., None, None]
    out = out.clamp(min=1e-4) ** gamma
    flip = draw.coin(x.shape[0], 1, 1, 1, chance=0.1)
    out = torch.where(flip, 1 - out, out)
    # as a CT without a window, whose soft tissues share a small part of the range
    share = draw.uniform(x.shape[0], 1, 1, 1, low=0.25, high=0.8)
    base = draw.uniform(x.shape[0], 1, 1, 1) * (1 - share)
    return torch.where(draw.coin(x.shape[0], 1, 1, 1, chance=0.12), base + share * out, out)


def _robust(x: Tensor) -> Tensor:
    """Scales (B, T, H, W) between percentiles of a sample of its pixels."""
    sample = x[..., ::3, ::3].flatten(1)
    sample = sample[:, :: max(1, sample.shape[1] // 2048)]
    low, high = sample.quantile(constant((0.01, 0.995), x.device), 1)
    low, high = low[:, None, None, None], high[:, None, None, None]
    return ((x - low) / (high - low + 1e-3)).clamp(0, 1)
