"""Reads a scan from whatever it is stored in."""

from __future__ import annotations

from pathlib import Path

from oneslice.errors import InputError
from oneslice.formats.detached import check_whole
from oneslice.formats.dicom import read_dicom
from oneslice.formats.dicom_files import is_dicom
from oneslice.formats.image import Image, reading
from oneslice.formats.itk import read_itk
from oneslice.formats.nifti import read_nifti
from oneslice.formats.pictures import pictures_at, read_pictures
from oneslice.formats.suffixes import NIFTI, PICTURES, VOLUMES, stem_of, suffix_of
from oneslice.volume import Series, Volume


def read_volume(path: str | Path, *, series: str | None = None, frame: int | None = None) -> Volume:
    """Read a scan.

    Args:
        path: a NIfTI, NRRD, MetaImage, PNG or TIFF file; a folder, zip archive or file of a DICOM
            series; or a folder of PNG or TIFF slices.
        series: which one to take from a DICOM folder that holds several: its SeriesInstanceUID, or
            its description, in which ``*``, ``?`` and ``[...]`` may stand; case does not matter.
        frame: which 3D image to take from a 4D file, from 0; other files have no choice.

    Returns:
        The volume; its name is the file's or folder's without suffixes.

    Raises:
        InputError: anything that cannot be read as one greyscale 3D image.

    """
    path = Path(path)
    image = read_image(path, series=series, frame=frame)
    return Volume(
        image.array,
        image.geometry,
        image.modality,
        image.slice_axis,
        stem_of(path),
        path,
        series=None if image.series is None else Series(path, image.series),
    )


def read_image(
    path: Path, *, series: str | None = None, frame: int | None = None, palette: bool = False
) -> Image:
    """Read values and grid; ``palette`` takes palette pictures by their indices.

    Raises:
        InputError: anything that cannot be read as one 3D image of numbers.

    """
    with reading(path):
        return _read(path, series, frame, palette)


def _read(path: Path, series: str | None, frame: int | None, palette: bool) -> Image:
    _check_readable(path)
    if suffix_of(path) in VOLUMES and not path.is_dir():
        check_whole(path)
        return read_nifti(path, frame) if suffix_of(path) in NIFTI else read_itk(path, frame)
    if pictures_at(path):
        return read_pictures(path, palette)
    if path.is_dir() or suffix_of(path) == ".zip" or is_dicom(path):
        return read_dicom(path, series)
    known = ", ".join((*VOLUMES, *PICTURES))
    raise InputError(f"{path}: is not a known kind of image ({known}, or DICOM)")


def _check_readable(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder")
    if path.is_dir():
        next(path.iterdir(), None)  # raises OSError where it is not allowed
        return
    with path.open("rb") as file:
        if not file.read(1):
            raise InputError(f"{path}: the file is empty")
