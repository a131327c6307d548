"""Supports: the labelled slices of a scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from oneslice.checks import whole
from oneslice.errors import InputError
from oneslice.formats import place_on_grid, read_label_map, read_volume
from oneslice.geometry import Array, SliceView, aligned_view, canonical_view
from oneslice.provenance import array_hash
from oneslice.volume import LabelMap, Structure, Volume, refuse_twins

_MOST = 200  # labels; more are hardly drawn on the slices of one scan
_LINE = 8  # pixels; a structure one pixel wide and shorter may be a small one
_CROSSED = 2  # slices on which such lines lie in one plane


@dataclass(frozen=True, eq=False)
class Support:
    """A scan of which at least one slice is labelled.

    Args:
        image: the scan.
        labels: on the image's grid, 0 wherever nothing is labelled.
        axis: the slice axis; None: the axis along which only one slice is labelled if there is
            just one such axis, else the image's through-plane axis.
        predicted: whether the labels were found by a run instead of given by a user.

    Raises:
        InputError: labels on another grid, nothing labelled, labels that look like an image, or
            that lie in slices along several axes, or no such axis.
    """

    image: Volume
    labels: LabelMap
    axis: int | None = None
    predicted: bool = False

    def __post_init__(self) -> None:
        if not (isinstance(self.image, Volume) and isinstance(self.labels, LabelMap)):
            raise InputError("a support is a Volume and a LabelMap; to read files, Support.load")
        if difference := self.image.geometry.difference(self.labels.geometry):
            raise InputError(
                f"{self.labels.name}: not on the grid of {self.image.name} ({difference}); "
                "label the support image itself, or resample the labels onto it"
            )
        if not self.labels.array.any():
            raise InputError(f"{self.labels.name}: no slice is labelled, every voxel is 0")
        if len(self.structures) > _MOST:
            raise InputError(
                f"{self.labels.name}: holds {len(self.structures)} labels; is it the scan? Perhaps "
                "--support and --labels were exchanged"
            )
        axis = self._labelled_axis() if self.axis is None else whole(self.axis, "axis", 0, 2)
        object.__setattr__(self, "axis", axis)

    @classmethod
    def load(
        cls,
        image: str | Path,
        labels: str | Path,
        *,
        names: dict[str, int] | None = None,
        axis: int | None = None,
        series: str | None = None,
        frame: int | None = None,
    ) -> Support:
        """Read the scan and its label map; ``names`` maps structure names to label values."""
        volume = read_volume(image, series=series, frame=frame)
        label_map = read_label_map(labels, frame=frame, scan=volume)
        if names:
            label_map = label_map.renamed(names)
        return cls(volume, place_on_grid(label_map, volume.geometry), axis)

    def only(self, slices: Sequence[int]) -> Support:
        """The same scan with these of its labelled slices alone.

        For label maps of which only some slices are known to be right, a corrected result for
        instance.

        Args:
            slices: their positions along ``axis``, from 0, in the file's order.

        Raises:
            InputError: none are given, or one of them is not labelled.
        """
        assert self.axis is not None
        last = self.slice_count - 1
        chosen = [whole(n, f"{self.labels.name}: a slice", 0, last) for n in slices]
        labelled = np.flatnonzero(self._labelled_along(self.axis))
        if missing := sorted(set(chosen) - set(labelled.tolist())):
            raise InputError(
                f"{self.labels.name}: nothing is labelled on slice "
                f"{', '.join(map(str, missing))}; labelled are slices from {labelled[0]} to "
                f"{labelled[-1]}, counted from 0 along axis {self.axis}"
            )
        array = np.moveaxis(self.labels.array, self.axis, 0).copy()
        array[~np.isin(np.arange(len(array)), chosen)] = 0
        array = np.moveaxis(array, 0, self.axis)
        return replace(self, labels=replace(self.labels, array=array))

    def _labelled_axis(self) -> int:
        thin = [axis for axis in range(3) if self._labelled_along(axis).sum() == 1]
        long = [axis for axis in thin if self.image.geometry.shape[axis] > 1]
        if len(long) == 1:
            return long[0]
        axis = self.image.through_plane_axis
        if self._is_crossed(axis):
            raise InputError(
                f"{self.labels.name}: slices along several axes are labelled; give a label map "
                "for each axis, with --support and --labels once more, or choose --axis"
            )
        return axis

    def _is_crossed(self, axis: int) -> bool:
        """Whether a structure is mostly labelled by one slice along another axis."""
        slices = np.moveaxis(self.labels.array, axis, 0)
        return any(_is_one_plane(slices == structure.value) for structure in self.structures)

    def _labelled_along(self, axis: int) -> Array:
        others = tuple(a for a in range(3) if a != axis)
        return np.asarray(self.labels.array.any(axis=others))

    @cached_property
    def view(self) -> SliceView:
        """How the scan is read as slices."""
        assert self.axis is not None
        return canonical_view(self.image.geometry, self.axis)

    @property
    def directions(self) -> Array:
        """(3, 3): the LPS directions along which slices, rows and columns advance."""
        return self.view.directions(self.image.geometry)

    def view_along(self, directions: Array) -> SliceView:
        """How the scan is read when another support sets the directions."""
        assert self.axis is not None
        return aligned_view(self.image.geometry, self.axis, directions)

    @cached_property
    def structures(self) -> tuple[Structure, ...]:
        """The structures that are labelled somewhere."""
        present = set(np.unique(self.labels.array).tolist())
        return tuple(s for s in self.labels.structures if s.value in present)

    def shows(self, structure: Structure) -> bool:
        """Whether a structure is labelled somewhere; its colour may be another."""
        return structure.value in {each.value for each in self.structures}

    @property
    def slice_count(self) -> int:
        """How many slices the scan has."""
        return int(self.image.geometry.shape[self.view.axes[0]])

    def slices_with(self, structure: Structure) -> tuple[int, ...]:
        """The positions, along ``view``, of the slices on which a structure is labelled."""
        slices = self.view.to_slices(self.labels.array) == structure.value
        return tuple(np.flatnonzero(slices.any((1, 2))).tolist())

    def heights(self, structure: Structure, directions: Array) -> Array:
        """Of the slices on which a structure is labelled, in mm as read along ``directions``."""
        view = self.view_along(directions)
        slices = view.to_slices(self.labels.array) == structure.value
        return np.flatnonzero(slices.any((1, 2))) * view.spacing(self.image.geometry)[0]

    def radius(self, structure: Structure) -> float:
        """Of a disc as large as a structure where it is labelled, in mm; the largest of them."""
        slices = self.view.to_slices(self.labels.array) == structure.value
        _, row_mm, column_mm = self.view.spacing(self.image.geometry)
        return float((slices.sum((1, 2)).max() * row_mm * column_mm / np.pi) ** 0.5)

    @cached_property
    def sha256(self) -> str:
        """Of all that a result depends on: intensities, place, labels and their names."""
        names = {structure.value: structure.name for structure in self.structures}
        arrays = self.image.array, self.image.geometry.affine, self.labels.array
        return array_hash(arrays, f"axis {self.axis}, {names}")

    def describe(self) -> dict[str, Any]:
        """Where it comes from, and its labelled slices in the file's order, for a record."""
        place = self.view.file_index
        slices = {
            structure.name: sorted(
                place(self.image.geometry, index) for index in self.slices_with(structure)
            )
            for structure in self.structures
        }
        return {
            "scan": self.image.location,
            "labels": self.labels.location,
            "slices": slices,
            "sha256": self.sha256,
        }

    def is_of(self, scan: Volume) -> bool:
        """Whether the scan is the support's own."""
        if scan is self.image:
            return True
        same_grid = scan.geometry.difference(self.image.geometry) is None
        return same_grid and np.array_equal(scan.array, self.image.array)

    def _shares_slices(self, other: Support) -> bool:
        same_kind = self.axis == other.axis and self.predicted == other.predicted
        return same_kind and self.image is other.image


def _is_one_plane(slices: Array) -> bool:
    """Whether most slices (N, rows, columns) that show a structure show a line in one plane."""
    slices = slices[slices.any((1, 2))]
    for axis in (1, 2):
        width, length = (slices.any(n).sum(1) for n in (axis, 3 - axis))
        lines = (width == 1) & (length >= _LINE)
        planes = {int(n) for n in slices[lines].any(axis).argmax(1)}
        if len(planes) == 1 and lines.sum() >= max(_CROSSED, len(slices) // 2 + 1):
            return True
    return False


def all_structures(supports: Sequence[Support]) -> tuple[Structure, ...]:
    """The structures of several supports, by value.

    Raises:
        InputError: one value has two names, or one name two values.
    """
    merged: dict[int, Structure] = {}
    for structure in (s for support in supports for s in support.structures):
        known = merged.setdefault(structure.value, structure)
        if known.name != structure.name:
            raise InputError(
                f"label {structure.value} is {known.name!r} in one support and "
                f"{structure.name!r} in another; give the same --names to all"
            )
    refuse_twins(merged.values())
    return tuple(merged[value] for value in sorted(merged))


def by_scan(supports: Sequence[Support]) -> tuple[Support, ...]:
    """The same labels with one support for each scan and slice axis, in the order given.

    Where two supports label a pixel, the later one counts. Supports along different axes of one
    scan share its image.

    Raises:
        InputError: as ``all_structures``.
    """
    found: list[Support] = []
    for support in supports:
        twin = next((each for each in found if each.is_of(support.image)), support)
        support = support if twin is support else replace(support, image=twin.image)
        same = [n for n, each in enumerate(found) if each._shares_slices(support)]
        if same:
            found[same[0]] = _above(found[same[0]], support)
        else:
            found.append(support)
    return tuple(found)


def by_image(supports: Sequence[Support]) -> list[tuple[Support, ...]]:
    """Supports of one image together, in the order given."""
    found: dict[int, list[Support]] = {}
    for support in supports:
        found.setdefault(id(support.image), []).append(support)
    return [tuple(same) for same in found.values()]


def with_given(labels: Array, supports: Sequence[Support]) -> Array:
    """Labels (I, J, K) of a scan in which its labelled slices are as they were given.

    Args:
        labels: what was found.
        supports: of this very scan. What is labelled on a slice is nowhere else on it.
    """
    for support in supports:
        given = support.view.to_slices(support.labels.array)
        found = support.view.to_slices(labels).copy()
        for index in np.flatnonzero(given.any((1, 2))):
            stray = np.isin(found[index], np.unique(given[index]))
            found[index] = np.where(given[index], given[index], np.where(stray, 0, found[index]))
        labels = support.view.to_array(found)
    return labels


def _above(below: Support, above: Support) -> Support:
    """The labels of two supports of one scan, those of the second on top."""
    array = np.where(above.labels.array, above.labels.array, below.labels.array)
    structures = all_structures((below, above))
    return replace(below, labels=replace(below.labels, array=array, structures=structures))
