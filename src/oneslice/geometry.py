"""Where voxels lie in the patient, and how a volume is read as a stack of slices.

World coordinates are millimetres in LPS (x to the patient's left, y to the back, z to the head), as
in DICOM and ITK. Arrays are indexed ``[i, j, k]`` in the order of the affine's columns.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from oneslice.checks import numbers, whole
from oneslice.errors import InputError

Array = np.ndarray[Any, Any]

_OBLIQUE_DEGREES = 20.0
_CLEARLY_COARSER = 1.1
# Reading directions (slice, row, column) in LPS for a slice axis along x, y or z: heads up, and
# left on the right, as radiology shows them.
_READING = {
    0: np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], float),
    1: np.array([[0, 1, 0], [0, 0, -1], [1, 0, 0]], float),
    2: np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], float),
}


@dataclass(frozen=True, eq=False)
class Geometry:
    """The grid of a volume.

    Args:
        shape: voxels along each array axis.
        affine: (4, 4), from index to LPS millimetres.
        space: NIfTI's code of where the millimetres count from: 0 unknown, 1 scanner, 2 another
            scan, 3 Talairach, 4 MNI, 5 another template. Other formats do not say.

    Raises:
        InputError: the shape is not three positive integers, or the affine cannot be inverted.

    """

    shape: tuple[int, int, int]
    affine: Array
    space: int = 1

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=float)
        if len(self.shape) != 3:
            raise InputError(f"a volume has three axes, not {len(self.shape)}")
        shape = tuple(whole(n, "the number of voxels along an axis", 1) for n in self.shape)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise InputError("the affine must be a finite 4 x 4 matrix")
        columns = affine[:3, :3]
        if abs(np.linalg.det(columns)) <= 1e-9 * np.linalg.norm(columns, axis=0).prod():
            raise InputError("the affine is singular: check the spacing and direction in the file")
        affine.flags.writeable = False
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", shape)

    @classmethod
    def from_parts(
        cls,
        shape: tuple[int, int, int],
        spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
        origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
        direction: Array | None = None,
    ) -> Geometry:
        """Build from ITK's terms: spacing and origin in mm, direction (3, 3) by columns.

        Raises:
            InputError: as the class, the spacing is not three positive lengths, the origin no
                position, or the direction not (3, 3).
        """
        lengths = numbers(spacing, (3,), "spacing is three positive lengths in mm")
        if not lengths.min() > 0:
            raise InputError(f"spacing is three positive lengths in mm, not {spacing}")
        columns = np.eye(3) if direction is None else direction
        affine = np.eye(4)
        affine[:3, :3] = numbers(columns, (3, 3), "direction is a 3 x 3 matrix") * lengths
        affine[:3, 3] = numbers(origin, (3,), "origin is a position (x, y, z) in mm")
        return cls(shape, affine)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between neighbours along each array axis."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(i), float(j), float(k)

    @property
    def origin(self) -> tuple[float, float, float]:
        """LPS millimetres of the voxel [0, 0, 0]."""
        x, y, z = self.affine[:3, 3]
        return float(x), float(y), float(z)

    @property
    def direction(self) -> Array:
        """(3, 3): column a is the unit vector of array axis a."""
        return self.affine[:3, :3] / np.array(self.spacing)

    @property
    def through_plane_axis(self) -> int:
        """The only axis of one voxel, else that of clearly the coarsest spacing, else the last."""
        if self.shape.count(1) == 1:
            return self.shape.index(1)
        order = np.argsort(self.spacing)
        middle, coarsest = (self.spacing[int(a)] for a in order[1:])
        return int(order[2]) if coarsest > _CLEARLY_COARSER * middle else 2

    def obliqueness(self, axis: int) -> float:
        """Degrees between an array axis and the nearest world axis."""
        cosine = np.abs(self.direction[:, axis]).max()
        return float(np.degrees(np.arccos(np.clip(cosine, 0, 1))))

    def is_oblique(self, axis: int) -> bool:
        """Whether the axis is too far from every world axis to be named after one."""
        return self.obliqueness(axis) > _OBLIQUE_DEGREES

    def to_world(self, index: Array) -> Array:
        """Indices (..., 3) to LPS millimetres (..., 3)."""
        return np.asarray(index, float) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_index(self, world: Array) -> Array:
        """LPS millimetres (..., 3) to fractional indices (..., 3)."""
        inverse = np.linalg.inv(self.affine)
        return np.asarray(world, float) @ inverse[:3, :3].T + inverse[:3, 3]

    def part(self, box: tuple[slice, slice, slice]) -> Geometry:
        """The grid of an array's part; it may leave out voxels regularly."""
        ranges = [range(n)[along] for n, along in zip(self.shape, box, strict=True)]
        affine = self.affine.copy()
        affine[:3, :3] *= [r.step for r in ranges]
        affine[:3, 3] = self.to_world(np.array([r.start for r in ranges]))
        i, j, k = (len(r) for r in ranges)
        return Geometry((i, j, k), affine, self.space)

    @property
    def corners(self) -> Array:
        """(8, 3): the indices of the voxels at the corners."""
        return np.array(list(itertools.product(*((0, n - 1) for n in self.shape))))

    def around(self, other: Geometry) -> Geometry:
        """This grid, continued until it holds another."""
        there = np.round(self.to_index(other.to_world(other.corners))).astype(int)
        index = np.vstack([self.corners, there])
        affine = self.affine.copy()
        affine[:3, 3] = self.to_world(index.min(0))
        i, j, k = (1 + np.ptp(index, axis=0)).tolist()
        return Geometry((i, j, k), affine, self.space)

    def difference(self, other: Geometry, tolerance: float = 1e-3) -> str | None:
        """Say how two grids differ, or None if every voxel lies within ``tolerance`` voxels."""
        if self.shape != other.shape:
            return f"shapes {self.shape} and {other.shape}"
        corners = self.corners
        offset = np.abs(self.to_index(other.to_world(corners)) - corners).max()
        if offset > tolerance:
            return f"corners up to {offset:.3g} voxels apart"
        return None


@dataclass(frozen=True)
class SliceView:
    """Reads an array [i, j, k] as slices (N, rows, columns), and back, without resampling.

    Args:
        axes: the array axes that become (slice, row, column).
        flips: whether each of them is read backwards.

    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool] = (False, False, False)

    def __post_init__(self) -> None:
        if sorted(self.axes) != [0, 1, 2]:
            raise InputError(f"axes must be a permutation of 0, 1, 2, not {self.axes}")

    def to_slices(self, array: Array) -> Array:
        """A view (N, rows, columns) of an array [i, j, k]."""
        return array.transpose(self.axes)[self._steps]

    def to_array(self, slices: Array) -> Array:
        """The inverse of ``to_slices``."""
        return slices[self._steps].transpose(np.argsort(self.axes))

    @property
    def _steps(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)

    def spacing(self, geometry: Geometry) -> tuple[float, float, float]:
        """Millimetres between slices, rows and columns."""
        n, r, c = (geometry.spacing[a] for a in self.axes)
        return n, r, c

    def directions(self, geometry: Geometry) -> Array:
        """(3, 3): the unit vectors along which slices, rows and columns advance, in LPS."""
        signs = np.where(self.flips, -1.0, 1.0)
        return geometry.direction.T[list(self.axes)] * signs[:, None]

    def file_index(self, geometry: Geometry, position: int) -> int:
        """The index along the array's own slice axis of slice ``position`` of this view."""
        return geometry.shape[self.axes[0]] - 1 - position if self.flips[0] else position


def canonical_view(geometry: Geometry, axis: int) -> SliceView:
    """Radiological reading order along ``axis``; as stored where the axis is oblique."""
    if geometry.is_oblique(axis):
        column, row = (a for a in range(3) if a != axis)
        return SliceView((axis, row, column))
    world = int(np.abs(geometry.direction[:, axis]).argmax())
    return aligned_view(geometry, axis, _READING[world])


def aligned_view(geometry: Geometry, axis: int, reference: Array) -> SliceView:
    """The view along ``axis`` whose directions agree best with ``reference`` (3, 3).

    Only the rows and columns within the slice plane and the order of slices are exchanged or
    reversed: the slice axis itself is never moved.
    """
    direction = geometry.direction.T
    agreement = direction @ np.asarray(reference).T  # (array axis, reference role)
    first, second = (a for a in range(3) if a != axis)
    kept = abs(agreement[first, 1]) + abs(agreement[second, 2])
    swapped = abs(agreement[second, 1]) + abs(agreement[first, 2])
    row, column = (first, second) if kept > swapped else (second, first)
    flips = agreement[axis, 0] < 0, agreement[row, 1] < 0, agreement[column, 2] < 0
    return SliceView((axis, row, column), (bool(flips[0]), bool(flips[1]), bool(flips[2])))


def matching_axis(geometry: Geometry, through_plane: int, reference: Array) -> int:
    """The slice axis of a query for a support read along ``reference`` (3, 3).

    An oblique stack and a single slice keep their own through-plane axis; otherwise the axis
    nearest to the support's slice direction is taken, so that both are cut in the same plane.
    """
    if geometry.is_oblique(through_plane) or geometry.shape[through_plane] == 1:
        return through_plane
    agreement = np.abs(geometry.direction.T @ np.asarray(reference)[0])
    near = agreement > agreement.max() - 1e-6
    return through_plane if near[through_plane] else int(agreement.argmax())
