"""NIfTI files through nibabel.

Not through ITK, which reads a truncated file or NaN as zeros, ``a.nii`` when asked for
``a.nii.gz`` if both exist, and refuses NIfTI-2 and the slightest shear.
"""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from oneslice.errors import InputError, OneSliceWarning
from oneslice.formats.image import Image, pick_frame, refuse_colours, right_angled
from oneslice.geometry import Array, Geometry

_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_APART = 0.05  # voxels, from which on two affines differ
_MILLIMETRES = {"meter": 1000.0, "micron": 0.001}


def read_nifti(path: Path, frame: int | None = None) -> Image:
    """Read one 3D image; 2D counts as one slice, 4D needs ``frame``.

    Raises:
        InputError: not a NIfTI image, damaged, colour, complex, sheared, without spacing, 5D, or a
            frame is missing.

    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    _check_compression(path)
    try:
        image = nibabel.load(path)
    except ImageFileError as error:
        raise InputError(f"{path}: is not a NIfTI image") from error
    _refuse_no_spacing(image, path)
    array = _array(image, path, frame)
    scale = _MILLIMETRES.get(image.header.get_xyzt_units()[0], 1.0)
    affine = np.diag([scale, scale, scale, 1]) @ _LPS_FROM_RAS @ image.affine
    space = int(image.header["sform_code"]) or int(image.header["qform_code"])
    _compare_forms(image, path)
    geometry = right_angled(Geometry(array.shape, affine, space), path)
    through = image.header.get_dim_info()[2]
    return Image(array, geometry, slice_axis=through, located=len(image.shape) > 2)


def _check_compression(path: Path) -> None:
    """Unpack to the end, where the checksum is."""
    with path.open("rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return
    with gzip.open(path) as unpacked:
        while unpacked.read(1 << 20):
            pass


def _refuse_no_spacing(image: Any, path: Path) -> None:
    """Raise InputError if the grid rests on a spacing of 0, which nibabel mends to 1 mm."""
    with image.file_map["image"].get_prepare_fileobj() as file:
        stored = type(image.header).from_fileobj(file, check=False)
    spacing = stored["pixdim"][1 : 1 + min(3, len(image.shape))]
    if image.header["sform_code"] <= 0 and not spacing.all():
        raise InputError(
            f"{path}: has a spacing of 0 in its header (pixdim {spacing.tolist()}); "
            "write the true millimetres into it"
        )


def _compare_forms(image: Any, path: Path) -> None:
    """Warn if the header's two affines put the corners of the image in two places."""
    sform, qform = image.get_sform(coded=True)[0], image.get_qform(coded=True)[0]
    if sform is None or qform is None:
        return
    last = np.array([*image.shape[:3], 1, 1])[:3] - 1
    corners = np.array([*np.ndindex(2, 2, 2)]) * last
    apart = corners @ (sform - qform)[:3, :3].T + (sform - qform)[:3, 3]
    farthest = np.linalg.norm(apart, axis=1).max()
    if farthest > _APART * np.linalg.norm(sform[:3, :3], axis=0).min():
        warnings.warn(
            f"{path}: its sform and its qform are up to {farthest:.3g} apart, and programs differ "
            "in which one they heed (3D Slicer and ITK-SNAP the qform); oneslice heeds the sform, "
            "and gives results no other. Make both equal if results or labels seem displaced",
            OneSliceWarning,
            stacklevel=2,
        )


def _array(image: Any, path: Path, frame: int | None) -> Array:
    """(I, J, K) in the machine's byte order, scaled as the header says."""
    dtype = image.get_data_dtype()
    refuse_colours(path, len(dtype.fields or ()) or (2 if dtype.kind == "c" else 1))
    shape = image.shape
    if any(extent > 1 for extent in shape[4:]):
        raise InputError(f"{path}: has {len(shape)} dimensions; save one 3D image of it")
    chosen = pick_frame(path, shape[3] if len(shape) > 3 else 1, frame)
    beyond = (chosen, *(0 for _ in shape[4:])) if len(shape) > 3 else ()
    array = np.asarray(image.dataobj[(..., *beyond)])
    array = array.reshape(*array.shape, *(1 for _ in range(3 - array.ndim)))
    native = array.dtype.newbyteorder("=")
    return array.astype(native if native.itemsize <= 8 else np.float64, copy=False)


def write_nifti(array: Array, geometry: Geometry, path: Path) -> None:
    """Write an array (I, J, K) and its grid; ``.gz`` compresses.

    Raises:
        OSError: the file cannot be written whole.

    """
    import nibabel

    image = nibabel.Nifti1Image(array, _LPS_FROM_RAS @ geometry.affine, dtype=array.dtype)
    image.header.set_zooms(geometry.spacing)
    centred = np.allclose(image.header.get_base_affine(), image.affine)
    code = geometry.space or int(not centred)  # with 0 a reader puts the middle at the origin
    image.set_sform(image.affine, code=code)
    image.set_qform(image.affine, code=code)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
