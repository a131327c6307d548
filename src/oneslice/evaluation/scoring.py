"""The figures of one structure of one case."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from oneslice.evaluation.datasets import LabelledStack
from oneslice.evaluation.metrics import compare
from oneslice.evaluation.plan import Plan, Status
from oneslice.evaluation.protocol import Overlap
from oneslice.geometry import Array


@dataclass(frozen=True)
class Score:
    """What is kept of one structure of one case; None where a figure is undefined.

    Args:
        structure: its name.
        status: the figures are None unless it is scored.
        true_positives, false_positives, false_negatives: voxels on the scored slices.
        dice: from these counts.
        hd95, assd: mm, between the surfaces on the scored slices.
        nsd: likewise, at the run's tolerance.
        volume_ml, reference_ml: on the scored slices.
        outside_ml: predicted on scored slices beyond the structure's true ends.
    """

    structure: str
    status: Status
    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0
    dice: float | None = None
    hd95: float | None = None
    assd: float | None = None
    nsd: float | None = None
    volume_ml: float | None = None
    reference_ml: float | None = None
    outside_ml: float | None = None


def score(item: Plan, prediction: Array, query: LabelledStack, tolerance: float) -> Score:
    """Score a mask (N, H, W) on the slices that were asked for.

    Within one scan the labelled slices count as right: they are part of what a user ends with.
    """
    request = item.request
    if request is None:
        return Score(item.structure.name, item.status)
    slices = sorted({*request.slices, *item.given})
    span = slice(slices[0], slices[-1] + 1)
    reference, filled = query.mask(item.structure), with_given(item, prediction, query)
    overlap = Overlap.of(filled[span], reference[span])
    found = compare(filled[span], reference[span], query.stack.spacing, tolerance)
    return Score(
        item.structure.name,
        Status.SCORED,
        overlap.true_positives,
        overlap.false_positives,
        overlap.false_negatives,
        overlap.dice,
        found.hd95,
        found.assd,
        found.nsd,
        found.volume_ml,
        found.reference_ml,
        _outside_ml(item, prediction, query),
    )


def with_given(item: Plan, prediction: Array, query: LabelledStack) -> Array:
    """A mask (N, H, W) in which the slices whose labels were given are as they were given."""
    filled, given = prediction.copy(), list(item.given)
    filled[given] = query.mask(item.structure)[given]
    return filled


def _outside_ml(item: Plan, prediction: Array, query: LabelledStack) -> float:
    inside = item.extent.slices if item.extent else ()
    beyond = [z for z in item.request.slices if z not in inside] if item.request else []
    return float(prediction[beyond].sum()) * prod(query.stack.spacing) / 1000
