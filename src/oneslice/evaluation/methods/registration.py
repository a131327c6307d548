"""``registration``: the support slice registered onto each query slice, its mask carried along.

No network: affine by mutual information, then demons, the classical way to move labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from oneslice.evaluation.datasets import Stack
from oneslice.evaluation.methods.base import Method, Request
from oneslice.evaluation.methods.planes import Plane
from oneslice.formats.itk import simple_itk
from oneslice.geometry import Array

_PERCENTILES = (1, 99)
_BINS = 32
_SAMPLES = 0.2
_SEED = 1  # 0 would mean the clock
_AFFINE_STEPS = 60
_DEMONS_STEPS = 40
_DEMONS_SMOOTHING = 2.0
_DEMONS_SHRINK = 2


class Registration(Method):
    """Registers the assigned labelled slice; one registration serves all structures on it."""

    name = "registration"

    def segment(self, query: Stack, support: Stack, requests: Sequence[Request]) -> list[Array]:
        """Register and warp."""
        slices = query.slices
        results = [np.zeros(slices.shape, bool) for _ in requests]
        target, source = Plane.of(query, query), Plane.of(support, query)
        transforms: dict[tuple[int, int], Any] = {}
        for request, result in zip(requests, results, strict=True):
            for z, number in request.assignment(query, support).items():
                pair = z, request.labelled[number]
                if pair not in transforms:
                    images = slices[z], support.slices[pair[1]]
                    transforms[pair] = register(target, source, *map(normalise, images))
                result[z] = target.fetch(source, request.masks[number], transforms[pair]) >= 0.5
        return results


def normalise(array: Array) -> Array:
    """Percentiles 1 and 99 of the slice to 0 and 1."""
    low, high = np.percentile(array, _PERCENTILES)
    return np.clip((array - low) / (high - low + 1e-6), 0, 1).astype(np.float32)


def register(target: Plane, source: Plane, query: Array, support: Array) -> Any:
    """The transform that resamples the support slice onto the query slice, both in [0, 1].

    On one thread: sums in another order would give another result the next time.
    """
    sitk = simple_itk()
    fixed, moving = target.image(query), source.image(support)
    affine = _affine(sitk, fixed, moving)
    warped = sitk.HistogramMatching(sitk.Resample(moving, fixed, affine, sitk.sitkLinear), fixed)
    both = sitk.CompositeTransform(2)
    both.AddTransform(affine)
    both.AddTransform(_demons(sitk, fixed, warped))
    return both


def _affine(sitk: Any, fixed: Any, moving: Any) -> Any:
    start = sitk.CenteredTransformInitializerFilter.MOMENTS
    try:
        affine = sitk.CenteredTransformInitializer(fixed, moving, sitk.AffineTransform(2), start)
    except RuntimeError:  # an empty slice has no centre of mass
        return sitk.AffineTransform(2)
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(_SAMPLES, _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, _AFFINE_STEPS)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2])
    method.SetSmoothingSigmasPerLevel([2, 1])
    method.SetInitialTransform(affine, inPlace=True)
    try:
        method.Execute(fixed, moving)
    except RuntimeError:  # the images do not overlap: moments are the best there is
        return sitk.CenteredTransformInitializer(fixed, moving, sitk.AffineTransform(2), start)
    return affine


def _demons(sitk: Any, fixed: Any, warped: Any) -> Any:
    demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
    demons.SetNumberOfThreads(1)
    demons.SetNumberOfIterations(_DEMONS_STEPS)
    demons.SetStandardDeviations(_DEMONS_SMOOTHING)
    shrink = [_DEMONS_SHRINK] * 2
    field = demons.Execute(sitk.Shrink(fixed, shrink), sitk.Shrink(warped, shrink))
    full = sitk.Resample(field, fixed)
    return sitk.DisplacementFieldTransform(sitk.Cast(full, sitk.sitkVectorFloat64))
