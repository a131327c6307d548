"""What the runner knows of a data set: cases read as slices, and who supports whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oneslice.errors import InputError
from oneslice.evaluation.protocol import Fold
from oneslice.formats import place_on_grid
from oneslice.geometry import Array, SliceView
from oneslice.volume import LabelMap, Structure, Volume

Pair = tuple[Path, Path]  # image and label
AS_STORED = SliceView((2, 1, 0))  # slices along the last axis, as the published code reads them


@dataclass(frozen=True, eq=False)
class Stack:
    """A scan and how it is read as slices."""

    volume: Volume
    view: SliceView

    @property
    def slices(self) -> Array:
        """Intensities (N, H, W)."""
        return self.view.to_slices(self.volume.array)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between slices, rows and columns."""
        return self.view.spacing(self.volume.geometry)


@dataclass(frozen=True, eq=False)
class LabelledStack:
    """A scan with its reference labels.

    Args:
        stack: the scan.
        labels: (N, H, W) label values.
    """

    stack: Stack
    labels: Array

    def mask(self, structure: Structure) -> Array:
        """Where the structure is, (N, H, W)."""
        found: Array = self.labels == structure.value
        return found

    @classmethod
    def of(cls, volume: Volume, labels: LabelMap, view: SliceView) -> LabelledStack:
        """Read both through one view.

        Raises:
            InputError: the label map lies on another grid than the scan, or on a part of it.

        """
        if sorted(labels.array.shape) != sorted(volume.array.shape):
            raise InputError(
                f"{volume.name}: the image has shape {volume.array.shape} and its label map "
                f"{labels.array.shape}; they must lie on one grid"
            )
        placed = place_on_grid(labels, volume.geometry)
        return cls(Stack(volume, view), view.to_slices(placed.array))


@dataclass(frozen=True)
class Case:
    """One scan of a data set, read when asked for.

    Args:
        identity: the patient's number or name.
        files: what it is read from, for the manifest.
        load: reads it.
    """

    identity: str
    files: tuple[Path, ...]
    load: Callable[[], LabelledStack]


@dataclass(frozen=True)
class Dataset:
    """Cases in the order of the folds.

    Args:
        name: what to call it.
        layout: how it was stored, in words.
        structures: what is segmented.
        identities: of all scans of the complete data set, in order.
        cases: those that are there.
        folds: positions in ``identities``.
    """

    name: str
    layout: str
    structures: tuple[Structure, ...]
    identities: tuple[str, ...]
    cases: Mapping[str, Case]
    folds: tuple[Fold, ...]

    def missing(self, fold: Fold) -> list[str]:
        """The scans that the fold lacks, its support included."""
        needed = (*fold.queries, fold.support)
        return [self.identities[n] for n in needed if self.identities[n] not in self.cases]

    def chosen_folds(self, numbers: Sequence[int] | None) -> tuple[Fold, ...]:
        """The folds with these numbers, or all that are complete.

        Raises:
            InputError: no such fold, an incomplete one was asked for, or none is complete.

        """
        if numbers is None:
            complete = tuple(fold for fold in self.folds if not self.missing(fold))
            if not complete:
                fewest = min(self.folds, key=lambda fold: len(self.missing(fold)))
                raise self._incomplete(fewest)
            return complete
        return tuple(self._fold(number) for number in dict.fromkeys(numbers))

    def _fold(self, number: int) -> Fold:
        if not 1 <= number <= len(self.folds):
            raise InputError(f"{self.name} has folds 1 to {len(self.folds)}, not {number}")
        fold = self.folds[number - 1]
        if self.missing(fold):
            raise self._incomplete(fold)
        return fold

    def _incomplete(self, fold: Fold) -> InputError:
        lacking = ", ".join(self.missing(fold))
        return InputError(
            f"{self.name}: fold {fold.number} lacks the scans {lacking}; add them, or choose "
            "complete folds with --folds"
        )


def by_number(pairs: Iterable[tuple[int, Pair]]) -> dict[int, Pair]:
    """Image and label of each scan.

    Raises:
        InputError: two of one number.

    """
    found: dict[int, Pair] = {}
    for number, pair in pairs:
        if number in found:
            raise InputError(
                f"{found[number][0]} and {pair[0]}: both are scan {number}; keep the one that is "
                "meant"
            )
        found[number] = pair
    return found


def existing(image: Path, label: Path) -> Path:
    """The label map of an image.

    Raises:
        InputError: it is not there.

    """
    if not label.exists():
        raise InputError(f"{image}: its label map {label.name} is missing")
    return label


def check_values(labels: LabelMap, known: frozenset[int]) -> LabelMap:
    """The labels, if all their values are known to the data set.

    Raises:
        InputError: a value outside the set.

    """
    strange = sorted({int(v) for v in np.unique(labels.array)} - known - {0})
    if strange:
        raise InputError(
            f"{labels.name}: holds the label values {', '.join(map(str, strange))}, which this "
            f"data set does not have (it has {', '.join(map(str, sorted(known)))}); is this the "
            "right label map?"
        )
    return labels
