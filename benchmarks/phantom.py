"""A scan of any size with any number of structures: bright spindles in a gray body."""

from __future__ import annotations

from math import ceil

import numpy as np

from oneslice.geometry import Geometry
from oneslice.support import Support
from oneslice.volume import LabelMap, Volume


def scan(slices: int, structures: int, seed: int, side: int = 96) -> tuple[Volume, LabelMap]:
    """A scan whose structures all lie on every slice, and its labels."""
    rng = np.random.default_rng(seed)
    rows = ceil(structures**0.5)
    step = side / rows
    y, x, z = np.mgrid[:side, :side, :slices].astype(np.float32)
    image = np.full((side, side, slices), 0.3, np.float32)
    labels = np.zeros(image.shape, np.uint8)
    for number in range(structures):
        row, column = (np.array(divmod(number, rows)) + 0.5) * step + rng.uniform(-1, 1, 2)
        radius = step * (0.25 + 0.15 * np.sin(z / slices * np.pi))
        inside = (y - row) ** 2 + (x - column) ** 2 < radius**2
        labels[inside], image[inside] = number + 1, 0.5 + 0.5 * number / structures
    image += rng.normal(0, 0.02, image.shape).astype(np.float32)
    grid = Geometry.from_parts(image.shape, (2.0, 2.0, 4.0))
    return Volume((1000 * image).astype(np.int16), grid), LabelMap(labels, grid)


def labelled(slices: int, structures: int) -> Support:
    """One labelled slice of another scan."""
    image, labels = scan(slices, structures, seed=1)
    one = np.zeros_like(labels.array)
    one[..., slices // 2] = labels.array[..., slices // 2]
    return Support(image, LabelMap(one, labels.geometry))
