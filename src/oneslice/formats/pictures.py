"""PNG and TIFF pictures: one is a slice, a folder or the pages of a TIFF are a stack.

Array axis i runs along a picture's row, j down its rows, k through the stack. Pictures carry no
millimetres: voxels are taken as 1 x 1 x 1 mm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from oneslice.errors import InputError
from oneslice.formats.dicom_files import is_dicom
from oneslice.formats.image import Image, reading, refuse_colours
from oneslice.formats.suffixes import PICTURES, natural_key, suffix_of
from oneslice.geometry import Array, Geometry


def pictures_in(folder: Path) -> list[Path]:
    """The visible pictures directly in a folder, in the order of their numbers."""
    files = (f for f in folder.iterdir() if suffix_of(f) in PICTURES and f.is_file())
    return sorted((f for f in files if not f.name.startswith(".")), key=natural_key)


def pictures_at(path: Path) -> list[Path]:
    """The pictures that are read at a path: itself, or the stack that a folder is.

    A DICOM series with previews is no stack.
    """
    if not path.is_dir():
        return [path] if suffix_of(path) in PICTURES else []
    direct = (file for file in path.iterdir() if file.is_file() and file.name[0] != ".")
    return [] if any(is_dicom(file) for file in direct) else pictures_in(path)


def read_pictures(path: Path, palette: bool = False) -> Image:
    """Read a picture, a TIFF of several pages, or a folder of pictures as a stack.

    Args:
        path: a picture or a folder.
        palette: take the indices of palette pictures (label maps) instead of refusing them.

    Raises:
        InputError: damaged or colour pictures, several sizes or kinds in one folder.

    """
    files = pictures_at(path)
    _check_one_kind(path, files)
    pages = [page for file in files for page in _pages(file, palette)]
    if len({page.shape for page in pages}) > 1:
        sizes = sorted({f"{page.shape[1]} x {page.shape[0]}" for page in pages})
        raise InputError(
            f"{path}: pictures of different sizes ({', '.join(sizes)}); keep one stack per folder"
        )
    array = np.stack(pages, axis=-1).swapaxes(0, 1)
    return Image(array, Geometry.from_parts(array.shape), slice_axis=2, located=False)


def _check_one_kind(path: Path, files: Sequence[Path]) -> None:
    if len({suffix_of(file)[:4] for file in files}) > 1:
        raise InputError(f"{path}: holds PNG and TIFF pictures; keep one stack per folder")


def _pages(file: Path, palette: bool) -> Iterator[Array]:
    """Each page as (rows, columns)."""
    from PIL import Image as Pillow
    from PIL import ImageSequence, UnidentifiedImageError

    with reading(file):
        try:
            picture = Pillow.open(file)
        except UnidentifiedImageError as error:
            raise InputError(f"{file}: is not a PNG or TIFF picture; export it again") from error
        with picture:
            for page in ImageSequence.Iterator(picture):
                if page.mode != "P" or not palette:
                    refuse_colours(file, 3 if page.mode == "P" else len(page.getbands()))
                yield np.asarray(page)
