"""Label pictures of some slices of a stack: their names say which."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from oneslice.errors import InputError
from oneslice.formats.image import Image
from oneslice.formats.pictures import pictures_at
from oneslice.formats.suffixes import stem_of
from oneslice.geometry import Geometry
from oneslice.volume import Volume


def spread_by_name(image: Image, path: Path, scan: Volume) -> Image:
    """Labels whose file does not say where they lie, on as many slices as their scan has.

    Raises:
        InputError: pictures of another size than the scan's; or there are fewer than the scan has,
            and they are not named like pictures of it.

    """
    size, whole = image.array.shape[:2], scan.geometry.shape[:2]
    if size != whole and _names(scan.source):
        raise InputError(
            f"{path}: of {size[0]} x {size[1]} pixels, and the slices of {scan.name} are of "
            f"{whole[0]} x {whole[1]}; a label picture shows its whole slice"
        )
    count = scan.geometry.shape[scan.through_plane_axis]
    if image.array.shape[2] >= count:
        return image
    array = np.zeros((*size, count), image.array.dtype)
    array[..., _positions(path, image.array.shape[2], scan, count)] = image.array
    return replace(image, array=array, geometry=Geometry.from_parts(array.shape))


def _positions(path: Path, labelled: int, scan: Volume, count: int) -> list[int]:
    """Where the ``labelled`` pictures at ``path`` lie among the ``count`` of the scan."""
    slices, named = _names(scan.source), _names(path)
    if (len(slices), len(named)) != (count, labelled) or not set(named) <= set(slices):
        raise InputError(
            f"{path}: does not say which of the {count} slices of {scan.name} it labels; name a "
            "label picture like its slice in a folder of pictures, or give the labelled slice "
            "alone as the support, or labels on the scan's whole grid"
        )
    return [slices.index(name) for name in named]


def _names(path: Path | None) -> list[str]:
    return [] if path is None else [stem_of(file) for file in pictures_at(path)]
