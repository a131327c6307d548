"""Augmented supports: random affine maps of image and mask, colour jitter of the image alone.

Parameters are drawn apart from the pure functions that apply them. Ranges are not published by the
paper (arXiv 2503.04826, section 3.2, names the transforms); see ``AugmentationPolicy``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from oneslice.checks import number, whole
from oneslice.errors import InputError

_GRAY = (0.299, 0.587, 0.114)  # ITU-R BT.601 luma
# RGB to YIQ; hue is an angle in the IQ plane.
_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


@dataclass(frozen=True)
class Augmentations:
    """How many augmented copies of each labelled slice join it in the pool.

    Args:
        count: copies in all, or for each query slice.
        per_query: the paper's N_T: ``count`` copies for each query slice.
    """

    count: int = 16
    per_query: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", whole(self.count, "augmentations", 0))

    @classmethod
    def parse(cls, text: str) -> Augmentations:
        """``16``: sixteen copies; ``2x``: two for each query slice, as in the paper."""
        digits = text.removesuffix("x")
        if not digits.isdecimal():
            raise InputError(f"augmentations {text!r}: give a number, or 2x for 2 per query slice")
        return cls(int(digits), per_query=digits != text)

    def __str__(self) -> str:
        return f"{self.count}x" if self.per_query else str(self.count)

    def pool_size(self, query_slices: int) -> int:
        """Pool entries for each labelled slice, itself included."""
        return 1 + self.count * (query_slices if self.per_query else 1)


@dataclass(frozen=True)
class AugmentationPolicy:
    """How far each transform may go; every parameter is drawn uniformly from plus or minus it.

    Args:
        rotation: degrees.
        scale: natural logarithm of the zoom.
        shear: degrees.
        translation: fraction of the frame's side.
        brightness: additive, as a fraction of the range [0, 1].
        contrast: natural logarithm of the gain around the mean.
        saturation: natural logarithm of the gain around gray.
        hue: turns.
    """

    rotation: float = 15.0
    scale: float = 0.2
    shear: float = 8.0
    translation: float = 0.08
    brightness: float = 0.1
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.05

    def __post_init__(self) -> None:
        for f in fields(self):
            object.__setattr__(self, f.name, number(getattr(self, f.name), f.name, 0))


@dataclass(frozen=True)
class AugmentationParameters:
    """The parameters of n augmentations, each (n,), in the units of ``AugmentationPolicy``."""

    rotation: Tensor
    scale: Tensor
    shear: Tensor
    translation_x: Tensor
    translation_y: Tensor
    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    hue: Tensor

    def __len__(self) -> int:
        return len(self.rotation)

    def select(self, index: Tensor) -> AugmentationParameters:
        """The augmentations ``index`` (B,)."""
        chosen = {f.name: getattr(self, f.name)[index] for f in fields(self)}
        return AugmentationParameters(**chosen)

    def describe(self, index: int) -> dict[str, float]:
        """One augmentation as plain numbers."""
        return {f.name: round(float(getattr(self, f.name)[index]), 4) for f in fields(self)}


def draw(
    count: int, policy: AugmentationPolicy, generator: torch.Generator
) -> AugmentationParameters:
    """Draw ``count`` augmentations; the first is always the identity."""
    values = {}
    for f in fields(AugmentationParameters):
        limit = getattr(policy, "translation" if f.name.startswith("translation") else f.name)
        values[f.name] = limit * (2 * torch.rand(count, generator=generator) - 1)
        values[f.name][:1] = 0
    return AugmentationParameters(**values)


def affine_matrices(parameters: AugmentationParameters) -> Tensor:
    """(n, 2, 3) maps from support to augmented positions, in [-1, 1] frame coordinates (x, y)."""
    angle = torch.deg2rad(parameters.rotation)
    zoom, shear = parameters.scale.exp(), torch.tan(torch.deg2rad(parameters.shear))
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    rows = [
        torch.stack([cos, shear * cos - sin, 2 * parameters.translation_x], -1),
        torch.stack([sin, shear * sin + cos, 2 * parameters.translation_y], -1),
    ]
    return torch.stack(rows, 1)


def warp(images: Tensor, parameters: AugmentationParameters) -> Tensor:
    """Move images or soft masks (n, C, S, S) by their affine maps; what enters is 0."""
    forward = affine_matrices(parameters).to(images)
    inverse = torch.linalg.inv(forward[:, :, :2])
    sampling = torch.cat([inverse, -inverse @ forward[:, :, 2:]], -1)
    grid = F.affine_grid(sampling, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", align_corners=False)


def jitter(images: Tensor, parameters: AugmentationParameters) -> Tensor:
    """Colour jitter of images (n, 1 or 3, S, S) in [0, 1]; hue and saturation spare gray ones."""
    brightness, contrast, saturation, hue = (
        getattr(parameters, name).to(images)[:, None, None, None]
        for name in ("brightness", "contrast", "saturation", "hue")
    )
    mean = images.mean((1, 2, 3), keepdim=True)
    images = (images - mean) * contrast.exp() + mean + brightness
    if images.shape[1] == 3:
        images = _turn_hue(_saturate(images, saturation.exp()), hue[:, 0, 0, 0])
    return images.clamp(0, 1)


def _saturate(images: Tensor, gain: Tensor) -> Tensor:
    weights = torch.tensor(_GRAY).to(images)[:, None, None]
    gray = (images * weights).sum(1, keepdim=True)
    return gray + (images - gray) * gain


def _turn_hue(images: Tensor, turns: Tensor) -> Tensor:
    to_yiq = torch.tensor(_YIQ).to(images)
    angle = 2 * torch.pi * turns
    turn = torch.zeros(len(turns), 3, 3).to(images)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = angle.cos()
    turn[:, 2, 1], turn[:, 1, 2] = angle.sin(), -angle.sin()
    matrix = torch.linalg.inv(to_yiq) @ turn @ to_yiq
    return torch.einsum("nij,njhw->nihw", matrix, images)


def augment(images: Tensor, parameters: AugmentationParameters) -> Tensor:
    """Images (n, 1 or 3, S, S) in [0, 1], moved and jittered."""
    return jitter(warp(images, parameters), parameters)


def move_masks(masks: Tensor, parameters: AugmentationParameters) -> Tensor:
    """Masks (n, K, S, S), 0 or 1, moved by their affine maps."""
    return (warp(masks.float(), parameters) >= 0.5).float()
