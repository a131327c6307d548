"""Writes volumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from oneslice.choices import Format
from oneslice.errors import InputError
from oneslice.formats.atomic import atomic_path
from oneslice.formats.itk import write_itk
from oneslice.formats.nifti import write_nifti
from oneslice.formats.suffixes import output_format
from oneslice.geometry import Array, Geometry
from oneslice.volume import Volume


def write_volume(volume: Volume, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write an image on its exact grid, compressed; the suffix chooses the format.

    Returns:
        The path written.

    Raises:
        InputError: another suffix, the file exists and ``overwrite`` is false, or it cannot be
            written.
    """
    target = Path(path)
    form = output_format(target)
    if form is Format.DICOM_SEG:
        raise InputError(f"{target}: a DICOM SEG holds labels, no image; end its name otherwise")
    write = write_nifti if form is Format.NIFTI else _write_itk
    with atomic_path(target, overwrite) as temporary:
        write(_storable(volume.array), volume.geometry, temporary)
    return target


def _storable(array: Array) -> Array:
    """The same values in a type that files know."""
    if array.dtype == bool:
        return array.astype(np.uint8)
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _write_itk(array: Array, geometry: Geometry, path: Path) -> None:
    write_itk(array, geometry, {}, path)
