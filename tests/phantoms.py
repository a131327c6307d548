"""Drawn slices: bright discs in a body with some texture."""

import numpy as np
import torch

from oneslice.frames import Frames, Window
from oneslice.geometry import Geometry, SliceView
from oneslice.volume import Volume

SIZE, STEP = 128, 4.0  # pixels of a slice, one mm each; mm from slice to slice


def disc(x, y, radius, size=SIZE):
    """(S, S), 1 inside; as fractions of the side."""
    axis = (torch.arange(size) + 0.5) / size
    return (((axis - x) ** 2 + (axis[:, None] - y) ** 2) < radius**2).float()


def picture(*discs, size=SIZE):
    """A body (1, S, S) with discs in it, each brighter than the one before."""
    axis = (torch.arange(size) + 0.5) / size
    texture = 0.04 * torch.sin(axis * 60) * torch.cos(axis[:, None] * 45)
    body = 0.3 * disc(0.5, 0.5, 0.46, size) + texture
    for number, inside in enumerate(discs):
        body = torch.where(inside > 0, 0.6 + 0.3 * number, body)
    noise = torch.randn(size, size, generator=torch.Generator().manual_seed(0))
    return (body + 0.02 * noise).clamp(0, 1)[None]


def moving(slices, radius=0.07, size=SIZE):
    """A disc that goes a third of its width on from slice to slice: images and masks."""
    way = [radius / 0.07 * n for n in range(slices)]
    masks = [disc(0.3 + 0.045 * n, 0.4 + 0.02 * n, radius, size) for n in way]
    return [picture(mask, size=size) for mask in masks], masks


def frames(images, size=SIZE):
    """Images as the slices of a scan, shown on frames of ``size`` pixels."""
    array = torch.cat(list(images)).numpy().astype(np.float32)
    geometry = Geometry.from_parts(array.shape, (STEP, 1.0, 1.0), (0.0, 0.0, 0.0))
    return Frames(Volume(array, geometry), SliceView((0, 1, 2)), Window(0, 1), size)
