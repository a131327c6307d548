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
from oneslice.volume import LabelMap

_REACH = 1.5  # of a structure's radius: how far from what is labelled predictions are taken
_FEW = 3  # labelled slices of a structure that need no others
_PARTS = 5  # of a structure's height; each should be shown


def incomplete(support: Support) -> Support | None:
    """The structures with few labelled slices; None if there are none."""
    few = [s.value for s in support.structures if len(support.slices_with(s)) < _FEW]
    if not few:
        return None
    labels = support.labels
    kept = np.where(np.isin(labels.array, few), labels.array, 0)
    return replace(support, labels=replace(labels, array=kept))


def complete(support: Support, found: LabelMap) -> Support | None:
    """Predicted labels on slices that spread over each structure; None if there are none.

    Args:
        support: as ``incomplete`` gives it.
        found: the labels of its whole scan.
    """
    used = {position for s in support.structures for position in support.slices_with(s)}
    everywhere = replace(support, labels=found)
    step = support.view.spacing(support.image.geometry)[0]
    labels = np.zeros_like(found.array)
    slices, predicted = support.view.to_slices(found.array), support.view.to_slices(labels)
    for structure in everywhere.structures:
        given = support.slices_with(structure)
        near = _REACH * support.radius(structure) / step
        present = [p for p in everywhere.slices_with(structure) if _away(p, given) <= near]
        for position in spread(present, given, used):
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
            middle = (better[0] + better[-1]) / 2
            chosen.append(min(better, key=lambda p: (abs(p - middle), _away(p, given))))
    return chosen


def _away(position: int, given: Sequence[int]) -> int:
    """Slices to the nearest of those given; what is found there is the more certain, the fewer."""
    return min((abs(position - each) for each in given), default=0)
