"""The preprocessing behind the published tables, on SimpleITK images, step by step.

It follows the notebooks of Ouyang et al. (ECCV 2020), including that a resampled image has
int(size + 1) voxels, which adds an empty slice at the end of most scans.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from oneslice.formats.itk import simple_itk

SIDE = 256
_CT_WINDOW = (-125, 275)
_CT_BORDER = 32
_CT_SIDE = 512
_MR_TOP_PERCENT = 0.5

Image = Any  # SimpleITK.Image, imported on first use only


def preprocess_mr(image: Image, labels: Image, spacing: Sequence[float]) -> tuple[Image, Image]:
    """Clip the brightest 0.5 %, resample to ``spacing`` (x, y, z in mm), take the central 256."""
    image = resample(clip_top(image), spacing)
    return crop(image), crop(resample_labels(labels, spacing))


def preprocess_ct(image: Image, labels: Image) -> tuple[Image, Image]:
    """Window to 0..255, cut 32 pixels off each border, resample in plane to 256 pixels."""
    factor = (_CT_SIDE - 2 * _CT_BORDER) / SIDE
    x, y, z = image.GetSpacing()
    spacing = (x * factor, y * factor, z)
    image = resample(_trim(window(image)), spacing)
    labels = resample_labels(_trim(labels), spacing)
    return image[:SIDE, :SIDE], labels[:SIDE, :SIDE]


def clip_top(image: Image) -> Image:
    """Set what is above the 99.5th percentile to it, in the image's own pixel type."""
    array = _array(image)
    top = float(np.percentile(array, 100.0 - _MR_TOP_PERCENT))
    array[array > top] = top
    return _like(array, image)


def window(image: Image) -> Image:
    """Clip to the abdominal window and stretch what is there to 0..255."""
    array = np.clip(_array(image), *_CT_WINDOW).astype(np.float64)
    low, high = array.min(), array.max()
    return _like((array - low) / (high - low) * 255.0, image)


def resample(image: Image, spacing: Sequence[float]) -> Image:
    """Interpolate linearly to another spacing; what lies outside is 0."""
    sitk = simple_itk()
    scale = np.array(image.GetSpacing()) / np.array(spacing)
    size = [int(n + 1) for n in np.array(image.GetSize()) * scale]
    return sitk.Resample(
        image,
        size,
        sitk.Transform(),
        sitk.sitkLinear,
        image.GetOrigin(),
        tuple(spacing),
        image.GetDirection(),
        0.0,
        image.GetPixelID(),
    )


def resample_labels(labels: Image, spacing: Sequence[float]) -> Image:
    """Interpolate each label on its own and round; of two in one voxel the larger value wins."""
    array = _array(labels)
    result = None
    merged: Any = 0
    for value in np.unique(array):
        result = resample(_like((array == value).astype(np.float32), labels), spacing)
        merged = np.where(np.rint(_array(result)) == 1, value, merged)
    return _like(merged.astype(array.dtype), result)


def crop(image: Image) -> Image:
    """The central 256 x 256 of each slice, padded with the image's minimum where it is smaller."""
    sitk = simple_itk()
    width, height, _ = image.GetSize()
    start = [width // 2 - SIDE // 2, height // 2 - SIDE // 2]
    before = [max(0, -n) for n in start]
    after = [max(0, n + SIDE - size) for n, size in zip(start, (width, height), strict=True)]
    low = float(_array(image).min())
    padded = sitk.ConstantPad(image, [*before, 0], [*after, 0], low)
    left, top = (n + pad for n, pad in zip(start, before, strict=True))
    return padded[left : left + SIDE, top : top + SIDE]


def _trim(image: Image) -> Image:
    """Cut the border off each slice, and keep the origin, as the published code does."""
    array = _array(image)[:, _CT_BORDER:-_CT_BORDER, _CT_BORDER:-_CT_BORDER]
    return _like(array, image)


def _array(image: Image) -> Any:
    return simple_itk().GetArrayFromImage(image)


def _like(array: Any, image: Image) -> Image:
    """An image of this array with the other's spacing, origin and direction."""
    result = simple_itk().GetImageFromArray(array)
    result.SetSpacing(image.GetSpacing())
    result.SetOrigin(image.GetOrigin())
    result.SetDirection(image.GetDirection())
    return result
