"""NIfTI, NRRD and MetaImage files through SimpleITK.

ITK indexes images as ``[i, j, k]`` and NumPy sees the reverse, hence the transposes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from oneslice.errors import InputError
from oneslice.formats import nifti
from oneslice.formats.image import Image, pick_frame, refuse_colours
from oneslice.formats.suffixes import suffix_of
from oneslice.geometry import Array, Geometry

_NIFTI = (".nii", ".nii.gz")
_RIGHT_ANGLE = 1e-3


def simple_itk() -> Any:
    """SimpleITK, imported on first use, with its warnings muted."""
    import SimpleITK as sitk  # noqa: N813

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    return sitk


def read_itk(path: Path, frame: int | None = None) -> Image:
    """Read one 3D image; 2D counts as one slice, 4D needs ``frame``.

    Raises:
        InputError: not an image, damaged, colour, complex, sheared, 5D, or a frame is missing.

    """
    try:
        if suffix_of(path) in _NIFTI:
            with nifti.unpacked(path) as plain:
                return _read_nifti(plain, path, frame)
        reader, header = _open(path)
        _select(reader, path, frame)
        return _image(reader, path, header)
    except RuntimeError as error:
        raise _explain(path, error) from error


def _read_nifti(plain: Path, path: Path, frame: int | None) -> Image:
    reader, header = _open(plain)
    _select(reader, path, frame)
    nifti.check_length(plain, header, path)
    nifti.check_finite(plain, header, path)
    return replace(_image(reader, path, header), slice_axis=nifti.slice_axis(header))


def _open(path: Path) -> tuple[Any, dict[str, str]]:
    """ITK's reader, its header parsed."""
    reader = simple_itk().ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return reader, {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}


def _image(reader: Any, path: Path, header: Mapping[str, str]) -> Image:
    image = reader.Execute()
    return Image(_array(image), _geometry(image, path), header=header)


def _select(reader: Any, path: Path, frame: int | None) -> None:
    """Refuse what is not scalar 3D, and point the reader at one frame."""
    refuse_colours(path, reader.GetNumberOfComponents())
    size = list(reader.GetSize())
    if any(extent > 1 for extent in size[4:]):
        raise InputError(f"{path}: has {len(size)} dimensions; save one 3D image of it")
    chosen = pick_frame(path, size[3] if len(size) > 3 else 1, frame)
    if len(size) > 3:
        beyond = len(size) - 3
        reader.SetExtractSize([*size[:3], *[0] * beyond])
        reader.SetExtractIndex([0, 0, 0, chosen, *[0] * (beyond - 1)])


def _array(image: Any) -> Array:
    """(I, J, K); one slice where the image is 2D."""
    array: Array = simple_itk().GetArrayFromImage(image).T
    return array[..., None] if array.ndim == 2 else array


def _geometry(image: Any, path: Path) -> Geometry:
    dimension = image.GetDimension()
    direction = np.eye(3)
    direction[:dimension, :dimension] = np.reshape(image.GetDirection(), (dimension, dimension))
    if np.abs(direction.T @ direction - np.eye(3)).max() > _RIGHT_ANGLE:
        raise _sheared(path)
    columns = image.GetSize(), image.GetSpacing(), image.GetOrigin()
    missing = (1, 1.0, 0.0)
    size, spacing, origin = (
        (*c, *(3 - dimension) * (m,)) for c, m in zip(columns, missing, strict=True)
    )
    return Geometry.from_parts(size, spacing, origin, direction)


def _sheared(path: Path) -> InputError:
    return InputError(
        f"{path}: its axes are not at right angles (a sheared affine); "
        "resample it to a grid with right angles and give that"
    )


def _explain(path: Path, error: RuntimeError) -> InputError:
    """One line for what ITK says in many."""
    text = str(error)
    if "orthonormal" in text:
        return _sheared(path)
    if "Unable to determine ImageIO" in text:
        return InputError(f"{path}: is not an image of the kind that its name says, or is damaged")
    return nifti.damaged(path)


def write_itk(array: Array, geometry: Geometry, header: Mapping[str, str], path: Path) -> None:
    """Write an array (I, J, K) and its grid, compressed where the format can.

    Raises:
        InputError: the file cannot be written whole.

    """
    sitk = simple_itk()
    image = sitk.GetImageFromArray(array.T)
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction.ravel().tolist())
    for key, value in header.items():
        image.SetMetaData(key, value)
    try:
        sitk.WriteImage(image, str(path), useCompression=suffix_of(path) != ".nii")
    except RuntimeError as error:
        raise OSError(f"the writer says: {str(error).splitlines()[-1].strip()}") from error
    if suffix_of(path) in _NIFTI:
        _check_written(path)


def _check_written(path: Path) -> None:
    try:
        with nifti.unpacked(path) as plain:
            nifti.check_length(plain, _open(plain)[1], path)
    except (RuntimeError, InputError) as error:
        raise OSError("only a part could be written; is the disk full?") from error
