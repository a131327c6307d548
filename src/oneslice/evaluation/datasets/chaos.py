"""CHAOS as published: a DICOM series with one PNG of labels for each slice."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from oneslice.errors import InputError
from oneslice.formats import read_volume
from oneslice.formats.itk import simple_itk
from oneslice.geometry import Array, Geometry, SliceView, aligned_view

# The challenge's own ranges of gray values, and the protocol's label values.
_RANGES = {1: (55, 70), 2: (110, 135), 3: (175, 200), 4: (240, 255)}
# Slices from feet to head, rows from back to front, columns to the patient's left: the order of
# the converter behind the published tables (dcm2nii), in LPS.
_STORED = np.array([[0, 0, 1], [0, -1, 0], [1, 0, 0]], float)


def read_chaos(slices: Path, ground: Path) -> tuple[Any, Any]:
    """The scan and its labels as SimpleITK images in the protocol's order.

    Args:
        slices: the folder DICOM_anon.
        ground: the folder Ground.

    Raises:
        InputError: slices and labels do not pair, or a gray value is no label.

    """
    volume = read_volume(slices)
    files = sorted(_numbered(ground.glob("*.png")), key=_number)
    if len(files) != volume.geometry.shape[2]:
        raise InputError(
            f"{ground}: {len(files)} label pictures for {volume.geometry.shape[2]} slices"
        )
    labels = np.stack([_labels(file) for file in files], axis=2)
    if labels.shape != volume.geometry.shape:
        raise InputError(f"{ground}: pictures of another size than the slices in {slices}")
    if not _starts_at_origin(slices, volume.geometry):
        labels = labels[:, :, ::-1]
    return _image(volume.array.astype(np.int16), volume.geometry), _image(labels, volume.geometry)


def _numbered(files: Iterable[Path]) -> list[Path]:
    """Those with a number in their names; hidden ones, which some systems leave, do not count."""
    return [file for file in files if file.name[0] != "." and re.search(r"\d", file.stem)]


def _number(file: Path) -> int:
    """The slice number that a name ends with, as in IMG-0002-00001.png."""
    return int(re.findall(r"\d+", file.stem)[-1])


def _labels(file: Path) -> Array:
    """(columns, rows) label values."""
    from PIL import Image

    gray = np.asarray(Image.open(file).convert("L")).T
    labels = np.zeros(gray.shape, np.uint8)
    for value, (low, high) in _RANGES.items():
        labels[(gray >= low) & (gray <= high)] = value
    if ((labels == 0) & (gray > 0)).any():
        strange = np.unique(gray[(labels == 0) & (gray > 0)])
        raise InputError(f"{file}: the gray values {strange.tolist()} stand for no organ of CHAOS")
    return labels


def _starts_at_origin(slices: Path, geometry: Geometry) -> bool:
    """Whether the slice with the lowest number is the volume's first."""
    import pydicom

    files = sorted(_numbered(slices.iterdir()), key=_number)
    header = pydicom.dcmread(files[0], stop_before_pixels=True)
    index = geometry.to_index(np.array(header.ImagePositionPatient, float))
    return bool(index[2] < geometry.shape[2] / 2)


def _image(array: Array, geometry: Geometry) -> Any:
    """As a SimpleITK image, its spacing rounded as in the NIfTI files of the published code."""
    view = aligned_view(geometry, 2, _STORED)
    slices = np.ascontiguousarray(view.to_slices(array))
    image = simple_itk().GetImageFromArray(slices)
    image.SetSpacing([float(np.float32(mm)) for mm in view.spacing(geometry)[::-1]])
    corner = [n - 1 if flip else 0 for n, flip in zip(array.shape, _axis_flips(view), strict=True)]
    image.SetOrigin(geometry.to_world(np.array(corner)).tolist())
    image.SetDirection(view.directions(geometry)[::-1].T.ravel().tolist())
    return image


def _axis_flips(view: SliceView) -> list[bool]:
    """Whether each array axis is read backwards."""
    flips = dict(zip(view.axes, view.flips, strict=True))
    return [flips[axis] for axis in range(3)]
