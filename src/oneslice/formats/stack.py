"""The grid of a stack of separately stored slices, and everything that can be wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from oneslice.errors import InputError
from oneslice.geometry import Array, Geometry

_SAME_ORIENTATION = 1e-3
_SAME_POSITION = 0.01  # mm
_EVEN = 0.1  # of the slice spacing
_SIDESTEP = 0.5  # of a pixel, over the whole stack


@dataclass(frozen=True, eq=False)
class Plane:
    """One slice in LPS millimetres.

    Args:
        position: (3,), the centre of the first pixel.
        along_row: (3,), unit vector in which the column index grows.
        along_column: (3,), unit vector in which the row index grows.
        spacing: mm between columns, and between rows.
        size: number of columns, and of rows.
        thickness: mm to the next slice as the file states it, used only if there is no other.
        name: what to call it in messages.

    """

    position: Array
    along_row: Array
    along_column: Array
    spacing: tuple[float, float]
    size: tuple[int, int]
    thickness: float = 1.0
    name: str = ""

    @property
    def normal(self) -> Array:
        """(3,): the unit vector through the plane."""
        normal = np.cross(self.along_row, self.along_column)
        return np.asarray(normal / np.linalg.norm(normal))


def stack_planes(planes: Sequence[Plane], name: str) -> tuple[list[int], Geometry]:
    """The order of the planes along their normal, and the grid (columns, rows, slices).

    Raises:
        InputError: planes of several sizes or orientations, two at one position, missing or
            unevenly spaced ones, or a tilted gantry.

    """
    _check_alike(planes, name)
    first = planes[0]
    heights = np.array([plane.position @ first.normal for plane in planes])
    order = [int(n) for n in np.argsort(heights, kind="stable")]
    heights = heights[order]
    step = first.thickness
    if len(planes) > 1:
        _check_positions(heights, [planes[n] for n in order], name)
        _check_spacing(heights, name)
        step = float(heights[-1] - heights[0]) / (len(planes) - 1)
    positions = np.array([planes[n].position for n in order])
    _check_straight(positions, first, name)
    direction = np.column_stack([first.along_row, first.along_column, first.normal])
    shape = (*first.size, len(planes))
    geometry = Geometry.from_parts(shape, (*first.spacing, step), tuple(positions[0]), direction)
    return order, geometry


def _check_alike(planes: Sequence[Plane], name: str) -> None:
    """Refuse slices of several scans; those are named that are unlike most."""
    sizes = Counter(plane.size for plane in planes)
    if len(sizes) > 1:
        text = ", ".join(f"{columns} x {rows}" for columns, rows in sorted(sizes))
        odd = [p for p in planes if p.size != sizes.most_common(1)[0][0]]
        raise InputError(
            f"{name}: slices of different sizes ({text}); keep those of one scan, perhaps without "
            f"{_names(odd)}"
        )
    first = planes[0]
    turned = [_turn(first, p) > _SAME_ORIENTATION for p in planes]
    if any(turned):
        rare = sum(turned) <= len(planes) / 2
        odd = [p for p, is_turned in zip(planes, turned, strict=True) if is_turned == rare]
        raise InputError(
            f"{name}: {len(odd)} of {len(planes)} slices lie at another angle than the others "
            f"(a localiser?); keep those of one scan, perhaps without {_names(odd)}"
        )
    if any(not np.allclose(first.spacing, p.spacing, rtol=1e-3) for p in planes):
        raise InputError(f"{name}: slices of different pixel spacing; keep those of one scan")


def _names(planes: Sequence[Plane]) -> str:
    return ", ".join(plane.name for plane in planes[:3]) + (", ..." if len(planes) > 3 else "")


def _turn(one: Plane, other: Plane) -> float:
    difference = np.concatenate(
        [one.along_row - other.along_row, one.along_column - other.along_column]
    )
    return float(np.abs(difference).max())


def _check_positions(heights: Array, planes: Sequence[Plane], name: str) -> None:
    """Refuse slices of which two lie at one height; both arguments are sorted by it."""
    twice = np.flatnonzero(np.diff(heights) < _SAME_POSITION)
    if len(twice):
        first = int(twice[0])
        both = _names(planes[first : first + 2])
        raise InputError(
            f"{name}: {len(twice)} slices lie where another one does, the first at "
            f"{heights[first]:.2f} mm along the stack ({both}; several phases, echoes or a repeat "
            "in one series?); keep one slice per position"
        )


def _check_spacing(heights: Array, name: str) -> None:
    """Refuse gaps and uneven steps; ``heights`` are sorted, in mm."""
    steps = np.diff(heights)
    typical = float(np.median(steps))
    even = np.linspace(heights[0], heights[-1], len(heights))
    if np.abs(heights - even).max() <= _EVEN * typical:
        return
    gaps = [n for n in range(len(steps)) if steps[n] > 1.5 * typical]
    if not gaps:
        raise InputError(
            f"{name}: slices are unevenly spaced, {steps.min():.2f} to {steps.max():.2f} mm "
            "apart; resample to even spacing and give that"
        )
    where = ", ".join(f"{heights[n]:.2f} and {heights[n + 1]:.2f}" for n in gaps[:3])
    more = ", ..." if len(gaps) > 3 else ""
    raise InputError(
        f"{name}: slices are missing between {where}{more} mm along the stack (they are usually "
        f"{typical:.2f} mm apart); fetch the missing files, or resample to even spacing"
    )


def _check_straight(positions: Array, first: Plane, name: str) -> None:
    """Refuse stacks whose slices step sideways; ``positions`` (N, 3) are sorted."""
    offset = positions - positions[0]
    height = offset @ first.normal
    sideways = np.linalg.norm(offset - height[:, None] * first.normal, axis=1)
    worst = int(sideways.argmax())
    if sideways[worst] > _SIDESTEP * min(first.spacing):
        tilt = np.degrees(np.arctan2(sideways[worst], height[worst]))
        raise InputError(
            f"{name}: slices step sideways by up to {sideways[worst]:.1f} mm (a gantry tilt of "
            f"{tilt:.1f} degrees?), which no grid with right angles can hold; convert it with a "
            "tool that corrects tilt, such as dcm2niix, and give the result"
        )
