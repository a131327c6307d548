"""The few-shot protocol of the field: who supports whom, which slice supports which, what counts.

Ouyang et al., "Self-Supervision with Superpixels: Training Few-shot Medical Image Segmentation
without Annotation" (ECCV 2020) and the code published with it, which later work follows. Pure
functions on numbers and masks; nothing here knows files or networks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from oneslice.errors import InputError
from oneslice.geometry import Array


@dataclass(frozen=True)
class Fold:
    """One part of the cross-validation.

    Args:
        number: counted from 1.
        queries: positions, in the sorted list of scans, of the scans to segment.
        support: the position of the scan that gives the labelled slices.
    """

    number: int
    queries: tuple[int, ...]
    support: int


def folds(cuts: Sequence[int]) -> tuple[Fold, ...]:
    """Folds between consecutive cuts; the support is the next scan, the first after the last.

    ``folds([0, 4, 8])`` are scans 0 to 3 supported by 4, and 4 to 7 supported by 0.
    """
    total = cuts[-1]
    return tuple(
        Fold(number, tuple(range(start, stop)), stop % total)
        for number, (start, stop) in enumerate(pairwise(cuts), start=1)
    )


def even_cuts(scans: int, parts: int) -> tuple[int, ...]:
    """Cuts for ``parts`` folds that differ by at most one scan.

    Raises:
        InputError: fewer than 2 folds or more folds than scans.

    """
    if not 2 <= parts <= scans:
        raise InputError(f"{scans} scans can be cut into 2 to {scans} folds, not {parts}")
    return tuple(scans * part // parts for part in range(parts + 1))


def slices_with(mask: Array) -> tuple[int, ...]:
    """The slices of (N, H, W) that hold the structure."""
    return tuple(int(z) for z in np.flatnonzero(mask.any(axis=(1, 2))))


def support_slices(present: Sequence[int], shots: int) -> tuple[int, ...]:
    """The labelled slices: of the n slices that hold the structure, number int(p n) of each chunk.

    p is the middle of the chunk: 1/2 for one shot; 1/6, 1/2 and 5/6 for three. A structure on few
    slices may give the same slice to several chunks.

    Raises:
        InputError: no slice holds the structure, or there are no shots.

    """
    if not present or shots < 1:
        raise InputError("support slices need a structure that is there, and at least one shot")
    return tuple(present[(2 * chunk + 1) * len(present) // (2 * shots)] for chunk in range(shots))


@dataclass(frozen=True)
class Extent:
    """The first and the last slice that hold a structure."""

    first: int
    last: int

    @classmethod
    def of(cls, present: Sequence[int]) -> Extent:
        """The extent of a structure on these slices."""
        return cls(min(present), max(present))

    @property
    def slices(self) -> tuple[int, ...]:
        """Every slice within, also those that skip the structure."""
        return tuple(range(self.first, self.last + 1))

    def chunk(self, z: int, shots: int) -> int:
        """floor((z - first) / ((last - first) / shots)), kept within 0 and shots - 1.

        A structure on a single slice belongs to chunk 0.
        """
        if self.first == self.last:
            return 0
        return min(max((z - self.first) * shots // (self.last - self.first), 0), shots - 1)


def nearest_by_height(
    query_total: int, labelled: Sequence[int], support_total: int
) -> tuple[int, ...]:
    """For want of an extent: for each query slice, the support at the nearest relative height.

    Returns:
        For each of the query's slices the position in ``labelled``.

    """
    support = (np.asarray(labelled) + 0.5) / support_total
    query = (np.arange(query_total) + 0.5) / query_total
    return tuple(int(n) for n in np.abs(query[:, None] - support).argmin(axis=1))


@dataclass(frozen=True)
class Overlap:
    """Voxel counts; they add up over slices."""

    true_positives: int
    false_positives: int
    false_negatives: int

    @classmethod
    def of(cls, prediction: Array, reference: Array) -> Overlap:
        """Count two masks of one shape."""
        predicted, expected = prediction.astype(bool), reference.astype(bool)
        common = int((predicted & expected).sum())
        return cls(common, int(predicted.sum()) - common, int(expected.sum()) - common)

    def __add__(self, other: Overlap) -> Overlap:
        return Overlap(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
        )

    @property
    def dice(self) -> float | None:
        """2 TP / (2 TP + FP + FN); None if there is nothing to count."""
        voxels = 2 * self.true_positives + self.false_positives + self.false_negatives
        return 2 * self.true_positives / voxels if voxels else None


def mean_over_folds(scores: Mapping[int, Iterable[float]]) -> float | None:
    """The mean over folds of the means over scans; folds without scores are left out."""
    means = [float(np.mean(values)) for values in map(list, scores.values()) if values]
    return float(np.mean(means)) if means else None
