"""How well a segmentation agrees with a reference, in millimetres, through MONAI.

The rule for empty masks, for one structure of one case:

- absent from the reference and from the prediction: nothing to score, every figure is None and the
  case is left out of the means (``Presence.ABSENT``);
- present in the reference alone: Dice and NSD are 0, distances are undefined and None, the volume
  difference is -100 % (``Presence.MISSED``);
- present in the prediction alone: Dice and NSD are 0, distances are undefined and None, so is the
  relative volume difference (``Presence.SPURIOUS``).

Undefined distances are left out of the means; tables count the cases that were missed, so that a
method cannot better its distances by finding nothing unseen.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from oneslice.errors import InputError
from oneslice.evaluation.choices import TOLERANCE
from oneslice.geometry import Array

if TYPE_CHECKING:
    from torch import Tensor


class Presence(StrEnum):
    """Where the structure is."""

    BOTH = "both"
    MISSED = "missed"
    SPURIOUS = "spurious"
    ABSENT = "absent"


@dataclass(frozen=True)
class Agreement:
    """The figures of one structure of one case; None where they are undefined.

    Args:
        presence: whether prediction and reference show the structure at all.
        dice: 0 to 1.
        hd95: the larger of both directions' 95th percentile of surface distances, mm.
        assd: the mean of all surface distances, both directions, mm.
        nsd: the share of both surfaces within the tolerance of the other, 0 to 1.
        volume_ml: of the prediction.
        reference_ml: of the reference.
    """

    presence: Presence
    dice: float | None
    hd95: float | None
    assd: float | None
    nsd: float | None
    volume_ml: float
    reference_ml: float

    @property
    def volume_difference_ml(self) -> float:
        """Predicted minus reference volume."""
        return self.volume_ml - self.reference_ml

    @property
    def volume_difference_percent(self) -> float | None:
        """The same relative to the reference, None if that is empty."""
        if not self.reference_ml:
            return None
        return 100 * self.volume_difference_ml / self.reference_ml


@dataclass(frozen=True)
class Mean:
    """A mean over the cases in which a figure is defined."""

    value: float | None
    count: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Mean:
        """The plain mean of what is not None."""
        defined = [v for v in values if v is not None]
        return cls(fmean(defined) if defined else None, len(defined))


def check_tolerance(tolerance: float) -> None:
    """Raise InputError unless surfaces can be compared at this tolerance, mm."""
    if not 0 < tolerance < math.inf:
        raise InputError(f"the tolerance must be positive and finite, not {tolerance:g} mm")


def compare(
    prediction: Array,
    reference: Array,
    spacing: tuple[float, float, float],
    tolerance: float = TOLERANCE,
) -> Agreement:
    """Compare two masks (I, J, K) on one grid.

    Args:
        prediction: nonzero inside.
        reference: nonzero inside.
        spacing: millimetres along each axis.
        tolerance: of the normalised surface Dice, mm.

    Raises:
        InputError: shapes differ, or the tolerance is not positive and finite.

    """
    if prediction.shape != reference.shape:
        raise InputError(f"masks of shapes {prediction.shape} and {reference.shape}")
    check_tolerance(tolerance)
    predicted, expected = prediction.astype(bool), reference.astype(bool)
    presence = _presence(bool(predicted.any()), bool(expected.any()))
    dice, hd95, assd, nsd = _figures(presence, predicted, expected, spacing, tolerance)
    voxel_ml = float(np.prod(spacing)) / 1000
    volume, reference_volume = predicted.sum() * voxel_ml, expected.sum() * voxel_ml
    return Agreement(presence, dice, hd95, assd, nsd, float(volume), float(reference_volume))


def _presence(predicted: bool, expected: bool) -> Presence:
    if predicted:
        return Presence.BOTH if expected else Presence.SPURIOUS
    return Presence.MISSED if expected else Presence.ABSENT


def _figures(
    presence: Presence,
    predicted: Array,
    expected: Array,
    spacing: tuple[float, float, float],
    tolerance: float,
) -> tuple[float | None, float | None, float | None, float | None]:
    """Dice, HD95, ASSD and NSD."""
    if presence is Presence.ABSENT:
        return None, None, None, None
    if presence is not Presence.BOTH:
        return 0.0, None, None, 0.0
    from monai.metrics import (
        compute_average_surface_distance,
        compute_dice,
        compute_hausdorff_distance,
        compute_surface_dice,
    )

    box = _bounding_box(predicted | expected)
    y_pred, y = _one_hot(predicted[box]), _one_hot(expected[box])
    mm = list(spacing)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MONAI warns of its own calls
        return (
            float(compute_dice(y_pred, y)),
            float(compute_hausdorff_distance(y_pred, y, True, percentile=95, spacing=mm)),
            float(compute_average_surface_distance(y_pred, y, True, symmetric=True, spacing=mm)),
            float(
                compute_surface_dice(y_pred, y, [tolerance], True, spacing=mm, use_subvoxels=True)
            ),
        )


def _bounding_box(mask: Array) -> tuple[slice, ...]:
    """Around the mask with a margin of one voxel, which surfaces need."""
    spans = (np.flatnonzero(mask.any(axis=_others(axis))) for axis in range(3))
    return tuple(slice(max(0, span[0] - 1), span[-1] + 2) for span in spans)


def _others(axis: int) -> tuple[int, ...]:
    return tuple(other for other in range(3) if other != axis)


def _one_hot(mask: Array) -> Tensor:
    """As MONAI wants it: (batch, class, I, J, K), here one of each."""
    import torch

    return torch.from_numpy(mask.astype(np.float32))[None, None]
