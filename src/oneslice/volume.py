"""Volumes and label maps: an array that knows its geometry."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from oneslice.checks import whole
from oneslice.choices import Modality, choose
from oneslice.errors import InputError
from oneslice.geometry import Array, Geometry

_LARGEST = 1e37  # a little less than float32 holds


@dataclass(frozen=True)
class Series:
    """A DICOM series: the folder, zip archive or file it was read from, and its UID."""

    path: Path
    uid: str


@dataclass(frozen=True, eq=False)
class Volume:
    """A 3D image.

    Args:
        array: (I, J, K) numbers, in the order of the geometry's axes.
        geometry: its grid.
        modality: None if the file does not say.
        slice_axis: the acquisition's through-plane axis, None if the file does not say.
        name: what to call it in messages and output names.
        source: where it was read from.
        water: what water is in a CT, 0 in Hounsfield units; None: its intensities tell.
        series: the DICOM series that it is, None if it is none.

    Raises:
        InputError: wrong number of axes, not real numbers, NaN, infinite or beyond what float32
            holds, or constant; no such modality or axis.

    """

    array: Array
    geometry: Geometry
    modality: Modality | None = None
    slice_axis: int | None = None
    name: str = "volume"
    source: Path | None = None
    water: float | None = None
    series: Series | None = None

    def __post_init__(self) -> None:
        called = str(self.source or self.name)
        _check_grid(self.array, self.geometry, called)
        if not np.isfinite(self.array).all():
            raise InputError(
                f"{called}: holds NaN or infinite values; replace them (for instance by the "
                "background's value) and try again"
            )
        low, high = self.array.min(), self.array.max()
        if low == high:
            raise InputError(f"{called}: every voxel has the same value, there is no image in it")
        if max(-float(low), float(high)) > _LARGEST:
            raise InputError(
                f"{called}: holds values as far out as {max(-float(low), float(high)):.3g}; was "
                "it read in the wrong byte order? Write it again with values below 1e37"
            )
        self._check_words()

    def _check_words(self) -> None:
        if self.modality is not None:
            modality = choose(Modality, self.modality, f"{self.name}: modality")
            object.__setattr__(self, "modality", modality)
        if self.slice_axis is not None:
            axis = whole(self.slice_axis, f"{self.name}: slice_axis", 0, 2)
            object.__setattr__(self, "slice_axis", axis)

    @property
    def location(self) -> str:
        """Where it was read from, as a whole path; its name if it was not."""
        return _location(self.source, self.name)

    @property
    def through_plane_axis(self) -> int:
        """The axis along which slices are counted unless the user says otherwise."""
        return self.geometry.through_plane_axis if self.slice_axis is None else self.slice_axis


@dataclass(frozen=True)
class Structure:
    """One labelled organ: its value in the label map, its name, and its colour (RGB, 0 to 255)."""

    value: int
    name: str
    color: tuple[int, int, int]

    def __post_init__(self) -> None:
        value = whole(self.value, f"the label value of {self.name} (0 is background)", 1)
        object.__setattr__(self, "value", value)
        if len(self.color) != 3:
            raise InputError(f"the colour of {self.name} is red, green and blue, not {self.color}")
        channels = (whole(c, f"the colour of {self.name}", 0, 255) for c in self.color)
        object.__setattr__(self, "color", tuple(channels))

    @classmethod
    def unnamed(cls, value: int) -> Structure:
        """A structure of which only the value is known."""
        return cls(value, f"label {value}", default_color(value))

    @property
    def is_named(self) -> bool:
        """Whether its name says more than its value."""
        return self.name != f"label {self.value}"


def refuse_twins(structures: Iterable[Structure]) -> None:
    """Raise InputError if one name stands for two values."""
    values: dict[str, int] = {}
    for structure in structures:
        value = values.setdefault(structure.name, structure.value)
        if value != structure.value:
            raise InputError(
                f"{structure.name!r} is label {value} and label {structure.value}: give one "
                "structure the same value in all label maps, and each its own name (--names)"
            )


def default_color(value: int) -> tuple[int, int, int]:
    """A colour of its own for each value: hues a golden angle apart."""
    r, g, b = colorsys.hsv_to_rgb((value * 0.61803398875) % 1.0, 0.75, 0.95)
    return round(255 * r), round(255 * g), round(255 * b)


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Integer labels on a grid, 0 for background.

    Args:
        array: (I, J, K) non-negative integers (floats that are whole numbers are accepted).
        geometry: its grid.
        structures: one entry for each value that may occur; absent ones are added unnamed.
        name: what to call it in messages.
        source: where it was read from.
        series: the DICOM series that is labelled, which a DICOM SEG refers to; None if it is none.

    Raises:
        InputError: another shape than the grid's, negative or broken numbers, or one above 65535.

    """

    array: Array
    geometry: Geometry
    structures: tuple[Structure, ...] = field(default=())
    name: str = "labels"
    source: Path | None = None
    series: Series | None = None

    def __post_init__(self) -> None:
        _check_grid(self.array, self.geometry, self.name)
        object.__setattr__(self, "array", _as_labels(self.array, self.name))
        known = {s.value: s for s in self.structures}
        for value in np.unique(self.array):
            if value:
                known.setdefault(int(value), Structure.unnamed(int(value)))
        object.__setattr__(self, "structures", tuple(known[v] for v in sorted(known)))

    @property
    def location(self) -> str:
        """Where it was read from, as a whole path; its name if it was not."""
        return _location(self.source, self.name)

    def renamed(self, names: dict[str, int]) -> LabelMap:
        """The same labels with names given by the user, ``{"liver": 1, ...}``.

        Raises:
            InputError: a label that occurs has no name, or one has two.

        """
        if len(set(names.values())) < len(names):
            raise InputError(f"{self.name}: names {names} give one label two names")
        by_value = {value: name for name, value in names.items()}
        present = {int(v) for v in np.unique(self.array)} - {0}
        if missing := sorted(present - set(by_value)):
            raise InputError(
                f"{self.name}: no name for label {', '.join(map(str, missing))}; "
                f"add it to --names, for instance --names name={missing[0]}"
            )
        old = {s.value: s for s in self.structures}
        structures = (
            replace(old.get(value, Structure.unnamed(value)), name=name)
            for value, name in by_value.items()
        )
        return replace(self, structures=tuple(structures))


def _location(source: Path | None, name: str) -> str:
    return str(source.resolve()) if source else name


def _check_grid(array: Array, geometry: Geometry, name: str) -> None:
    if not isinstance(array, np.ndarray):
        raise InputError(f"{name}: the array is a {type(array).__name__}; give a NumPy array")
    if not isinstance(geometry, Geometry):
        raise InputError(
            f"{name}: the geometry is a {type(geometry).__name__}; give "
            "Geometry.from_parts(array.shape, spacing)"
        )
    if array.ndim != 3 or array.shape != geometry.shape:
        raise InputError(f"{name}: array of shape {array.shape} on a grid of {geometry.shape}")
    real = np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)
    if not (real or array.dtype == bool):
        raise InputError(f"{name}: holds {array.dtype}, not real numbers")


def _as_labels(array: Array, name: str) -> Array:
    if not np.isfinite(array).all() or (array < 0).any() or (array != np.round(array)).any():
        raise InputError(f"{name}: labels must be whole numbers from 0 up; is this the label map?")
    if float(array.max(initial=0)) > np.iinfo(np.uint16).max:
        raise InputError(f"{name}: label {array.max()} is above 65535")
    return array.astype(np.uint8 if array.max(initial=0) < 256 else np.uint16, copy=False)
