"""Supports with few labelled slices, completed by what is found on others of their own scan.

Within the scan that was labelled, a structure is followed further than into another patient. What
is found there shows it to the scans to come at heights that nobody labelled.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from oneslice.support import Support
from oneslice.volume import LabelMap, Structure

_PARTS = 5  # of a structure's height; each should be shown


def incomplete(support: Support) -> list[Support]:
    """The structures with few labelled slices; those labelled on the same slices stay together."""
    together: dict[tuple[int, ...], list[Structure]] = {}
    for structure in support.structures:
        given = support.slices_with(structure)
        if len(given) < _PARTS:
            together.setdefault(given, []).append(structure)
    return [_of(support, structures) for structures in together.values()]


def complete(support: Support, found: LabelMap, used: set[int]) -> Support | None:
    """Predicted labels on slices that spread over each structure; None if there are none.

    Args:
        support: as ``incomplete`` gives it.
        found: the labels of its whole scan.
        used: slices that serve other structures; to use them again costs less. Added to.
    """
    everywhere = replace(support, labels=found)
    labels = np.zeros_like(found.array)
    slices, predicted = support.view.to_slices(found.array), support.view.to_slices(labels)
    for structure in everywhere.structures:
        present = everywhere.slices_with(structure)
        for position in spread(present, support.slices_with(structure), used):
            used.add(position)
            mask = slices[position] == structure.value
            predicted[position][mask] = structure.value
    if not labels.any():
        return None
    return replace(support, labels=replace(found, array=labels), predicted=True)


def spread(present: Sequence[int], given: Sequence[int], used: Collection[int]) -> list[int]:
    """The middle slice of each part of a structure that no given slice shows.

    Args:
        present: the slices that show the structure.
        given: those of them that are labelled.
        used: slices that are preferred to the middle one.
    """
    edges = np.linspace(present[0], present[-1] + 1, _PARTS + 1)
    chosen = []
    for first, end in itertools.pairwise(edges):
        inside = [position for position in present if first <= position < end]
        if inside and not set(inside) & set(given):
            better = [position for position in inside if position in used] or inside
            chosen.append(better[len(better) // 2])
    return chosen


def _of(support: Support, structures: Sequence[Structure]) -> Support:
    """A support of some of its structures."""
    labels = support.labels
    kept = np.where(np.isin(labels.array, [s.value for s in structures]), labels.array, 0)
    return replace(support, labels=replace(labels, array=kept))
