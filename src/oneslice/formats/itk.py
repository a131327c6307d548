"""NRRD and MetaImage files through SimpleITK.

ITK indexes images as ``[i, j, k]`` and NumPy sees the reverse, hence the transposes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from oneslice.errors import InputError
from oneslice.formats.image import Image, pick_frame, refuse_colours, right_angled
from oneslice.formats.suffixes import suffix_of
from oneslice.geometry import Array, Geometry


def simple_itk() -> Any:
    """SimpleITK, imported on first use, with its warnings muted."""
    import SimpleITK as sitk  # noqa: N813

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    return sitk


def file_reader(path: Path) -> Any:
    """ITK's reader of a file.

    Raises:
        InputError: the name is not UTF-8, which ends the process in ITK.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{path}: its name is not UTF-8; rename it") from error
    reader = simple_itk().ImageFileReader()
    reader.SetFileName(str(path))
    return reader


def read_itk(path: Path, frame: int | None = None) -> Image:
    """Read one 3D image; 2D counts as one slice, 4D needs ``frame``.

    Raises:
        InputError: not an image, damaged, colour, sheared, 5D, or a frame is missing.

    """
    reader = file_reader(path)
    try:
        reader.ReadImageInformation()
        _select(reader, path, frame)
        image = reader.Execute()
    except RuntimeError as error:
        if "Unable to determine ImageIO" in str(error):
            raise InputError(f"{path}: is not an image of the kind its name says") from error
        raise
    array: Array = simple_itk().GetArrayFromImage(image).T
    header = {str(key): reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}
    geometry = right_angled(_geometry(image), path)
    located = image.GetDimension() > 2
    return Image(array.reshape(geometry.shape), geometry, header=header, located=located)


def _select(reader: Any, path: Path, frame: int | None) -> None:
    """Refuse what is not scalar 3D, and point the reader at one frame."""
    components = reader.GetNumberOfComponents()
    if components > 1 and suffix_of(path) == ".seg.nrrd":
        raise InputError(
            f"{path}: its segments overlap ({components} layers); let each voxel belong to one "
            "(in 3D Slicer: Data module, export visible segments to a label map) and give that"
        )
    refuse_colours(path, components)
    size = list(reader.GetSize())
    if any(extent > 1 for extent in size[4:]):
        raise InputError(f"{path}: has {len(size)} dimensions; save one 3D image of it")
    chosen = pick_frame(path, size[3] if len(size) > 3 else 1, frame)
    if len(size) > 3:
        beyond = len(size) - 3
        reader.SetExtractSize([*size[:3], *[0] * beyond])
        reader.SetExtractIndex([0, 0, 0, chosen, *[0] * (beyond - 1)])


def _geometry(image: Any) -> Geometry:
    """The grid; 2D images become one slice of 1 mm."""
    dimension = image.GetDimension()
    direction = np.eye(3)
    direction[:dimension, :dimension] = np.reshape(image.GetDirection(), (dimension, dimension))
    columns = image.GetSize(), image.GetSpacing(), image.GetOrigin()
    missing = (1, 1.0, 0.0)
    size, spacing, origin = (
        (*c, *(3 - dimension) * (m,)) for c, m in zip(columns, missing, strict=True)
    )
    return Geometry.from_parts(size, spacing, origin, direction)


def write_itk(array: Array, geometry: Geometry, header: Mapping[str, str], path: Path) -> None:
    """Write an array (I, J, K), its grid and text fields, compressed.

    Raises:
        OSError: the file cannot be written whole.

    """
    sitk = simple_itk()
    image = sitk.GetImageFromArray(array.T)
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction.ravel().tolist())
    for key, value in header.items():
        image.SetMetaData(key, value)
    try:
        sitk.WriteImage(image, str(path), useCompression=True)
    except RuntimeError as error:
        raise OSError(str(error).strip().splitlines()[-1].strip()) from error
