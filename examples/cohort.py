"""A small study of generated patients: an abdomen with four organs, different in each of them."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from oneslice.choices import Modality
from oneslice.geometry import Array, Geometry
from oneslice.volume import LabelMap, Structure, Volume

STRUCTURES = (
    Structure(1, "liver", (190, 90, 70)),
    Structure(2, "right kidney", (230, 180, 60)),
    Structure(3, "left kidney", (240, 210, 110)),
    Structure(4, "spleen", (120, 80, 170)),
)
# centre and radii in millimetres (to the left, to the back, to the head), and gray value
_ORGANS = {
    1: ((-55, -15, 10), (60, 50, 55), 0.55),
    2: ((-50, 45, -20), (20, 24, 42), 0.80),
    3: ((48, 45, -15), (20, 24, 42), 0.80),
    4: ((75, 25, 30), (24, 34, 38), 0.68),
}
_BODY = ((0, 0, 0), (140, 100, 400), 0.30)
_SPINE = ((0, 62, 0), (18, 18, 400), 0.12)
_SHAPE, _SPACING = (96, 72, 24), (3.2, 3.2, 6.0)


def patient(seed: int) -> tuple[Volume, LabelMap]:
    """The scan (96 x 72 x 24 voxels of 3.2 x 3.2 x 6 mm) and the true labels of one patient."""
    rng = np.random.default_rng(seed)
    origin = tuple(-s * (n - 1) / 2 for s, n in zip(_SPACING, _SHAPE, strict=True))
    geometry = Geometry.from_parts(_SHAPE, _SPACING, origin)
    points = geometry.to_world(np.stack(np.indices(_SHAPE), -1)) + rng.normal(0, 8, 3)
    points = points / rng.uniform(0.9, 1.1, 3) + _bend(rng)
    image = np.full(_SHAPE, 0.02)
    for centre, radii, gray in (_BODY, _SPINE):
        image[_inside(points, centre, radii)] = gray
    labels = np.zeros(_SHAPE, np.uint8)
    for value, (centre, radii, gray) in _ORGANS.items():
        organ = _inside(points, centre + rng.normal(0, 5, 3), radii * rng.uniform(0.85, 1.15, 3))
        labels[organ], image[organ] = value, gray + rng.normal(0, 0.03)
    image = gaussian_filter(image, (0.6, 0.6, 0.3)) * _bias(rng) + rng.normal(0, 0.02, _SHAPE)
    scan = (1000 * np.clip(image, 0, None)).astype(np.int16)
    name = f"patient{seed:02d}"
    return (
        Volume(scan, geometry, Modality.MR, name=name),
        LabelMap(labels, geometry, STRUCTURES, name=f"{name} labels"),
    )


def one_slice(labels: LabelMap, axis: int = 2) -> LabelMap:
    """Keep the slice that shows most structures, and most of them."""
    slices = np.moveaxis(labels.array, axis, 0)
    kinds = [len(np.unique(s)) for s in slices]
    area = (slices > 0).sum((1, 2))
    best = int(np.lexsort((area, kinds))[-1])
    kept = np.zeros_like(labels.array)
    np.moveaxis(kept, axis, 0)[best] = slices[best]
    return LabelMap(kept, labels.geometry, labels.structures, name=f"{labels.name}, one slice")


def _inside(points: Array, centre: Array | tuple, radii: Array | tuple) -> Array:
    return (((points - centre) / radii) ** 2).sum(-1) < 1


def _bend(rng: np.random.Generator) -> Array:
    """A smooth displacement (I, J, K, 3) of a few millimetres."""
    noise = rng.normal(0, 1, (*_SHAPE, 3))
    smooth = gaussian_filter(noise, (10, 10, 4, 0))
    return 6 * smooth / smooth.std()


def _bias(rng: np.random.Generator) -> Array:
    """A coil's slow change of brightness."""
    smooth = gaussian_filter(rng.normal(0, 1, _SHAPE), (30, 30, 8))
    return np.exp(0.08 * smooth / smooth.std())
