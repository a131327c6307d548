"""Generated patients: three organs in a body, each with a pose and intensities of its own."""

from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np

from oneslice.geometry import Array, Geometry
from oneslice.support import Support
from oneslice.volume import LabelMap, Structure, Volume

STRUCTURES = (
    Structure(1, "liver", (200, 80, 60)),
    Structure(2, "spleen", (120, 60, 160)),
    Structure(3, "kidney", (220, 180, 60)),
)
SHAPE, SPACING = (88, 80, 12), (3.0, 3.0, 8.0)
SHORT = (88, 80, 4)
MIDDLE = 6
# centre and radii in mm, intensity
_ORGANS = (
    ((-42.0, -8.0, 0.0), (44.0, 52.0, 38.0), 150.0),
    ((62.0, 28.0, 6.0), (24.0, 32.0, 32.0), 190.0),
    ((30.0, 52.0, -4.0), (17.0, 22.0, 36.0), 235.0),
)
_BODY = (118.0, 96.0)


@dataclass(frozen=True, eq=False)
class Patient:
    """A scan and all its labels."""

    image: Volume
    labels: LabelMap

    @cached_property
    def support(self) -> Support:
        """The middle slice labelled, and nothing else."""
        return self.labelled([MIDDLE])

    def labelled(self, slices, values=(1, 2, 3)) -> Support:
        """Some slices and structures labelled."""
        kept = np.zeros_like(self.labels.array)
        kept[..., slices] = self.labels.array[..., slices]
        kept[~np.isin(kept, values)] = 0
        return Support(self.image, LabelMap(kept, self.image.geometry, STRUCTURES))


@cache
def patient(number: int, shape=SHAPE) -> Patient:
    """Always the same for the same number."""
    rng = np.random.default_rng(number)
    geometry = Geometry.from_parts(shape, SPACING, tuple(rng.uniform(-200, 200, 3)))
    x, y, z = _posed(shape, rng)
    image = np.where((x / _BODY[0]) ** 2 + (y / _BODY[1]) ** 2 < 1, 90.0, 0.0)
    labels = np.zeros(shape, np.uint8)
    for structure, (centre, radii, intensity) in zip(STRUCTURES, _ORGANS, strict=True):
        offset = rng.uniform(-3, 3, 3)
        parts = zip((x, y, z), centre, offset, radii, strict=True)
        inside = sum(((w - c - o) / r) ** 2 for w, c, o, r in parts) < 1
        image[inside] = intensity + rng.uniform(-8, 8)
        labels[inside] = structure.value
    image = image * rng.uniform(0.8, 1.3) + rng.uniform(0, 30) + rng.normal(0, 9, shape)
    name = f"p{number:02d}"
    volume = Volume(image.astype(np.float32), geometry, name=name)
    return Patient(volume, LabelMap(labels, geometry, STRUCTURES, name))


def _posed(shape, rng) -> Array:
    """Millimetres (3, I, J, K) around the patient's own centre, axes and size."""
    axes = [(np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(shape, SPACING, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    turn, scale = np.radians(rng.uniform(-8, 8)), rng.uniform(0.9, 1.08)
    x, y, z = x - rng.uniform(-9, 9), y - rng.uniform(-9, 9), z - rng.uniform(-4, 4)
    cos, sin = np.cos(turn), np.sin(turn)
    return np.stack([cos * x + sin * y, cos * y - sin * x, z]) / scale


def in_a_wide_field(one, around=None, right=0, down=0, margin=60) -> Patient:
    """A patient in a field that is wider by some voxels on each side, not in its middle.

    Args:
        around: intensity there, the darkest by default; noisy as the rest.
    """

    def wide(array, value):
        i, j, k = array.shape
        whole = np.full((i + 2 * margin, j + 2 * margin, k), value, array.dtype)
        whole[margin + right :, margin + down :][:i, :j] = array
        return whole

    darkest = one.image.array.min()
    image = wide(one.image.array, darkest if around is None else around)
    image = image + np.random.default_rng(1).normal(0, 3, image.shape).astype(np.float32)
    geometry = Geometry.from_parts(image.shape, one.image.geometry.spacing)
    labels = LabelMap(wide(one.labels.array, 0), geometry, one.labels.structures)
    return replace(one, image=Volume(image, geometry, name=one.image.name), labels=labels)


def dice(found: Array, truth: Array, value: int) -> float:
    """Of one structure in a whole volume."""
    a, b = found == value, truth == value
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


def mean_dice(found: Array, truth: Array) -> float:
    """Over the structures."""
    return float(np.mean([dice(found, truth, s.value) for s in STRUCTURES]))


def copied(support: Support, truth: Array) -> Array:
    """The floor: the labelled slice's mask on every slice that truly shows the structure."""
    mask = support.labels.array[..., MIDDLE]
    result = np.zeros_like(truth)
    for structure in STRUCTURES:
        shown = (truth == structure.value).any((0, 1))
        result[(mask == structure.value)[..., None] & shown] = structure.value
    return result


def reoriented(patient_, axes, flips):
    """The same patient stored in another order: scan, labels, and how to store an array so."""

    def store(array):
        return np.flip(array, [a for a in range(3) if flips[a]]).transpose(axes)

    grid = patient_.image.geometry
    corner = [n - 1 if flip else 0 for n, flip in zip(grid.shape, flips, strict=True)]
    affine = np.eye(4)
    signs = np.where(flips, -1.0, 1.0)
    affine[:3, :3] = (grid.affine[:3, :3] * signs)[:, axes]
    affine[:3, 3] = grid.to_world(corner)
    geometry = Geometry(tuple(grid.shape[a] for a in axes), affine)
    image = Volume(store(patient_.image.array), geometry, name="stored")
    return image, geometry, store
