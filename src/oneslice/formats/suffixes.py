"""File names: suffixes, stems, and the order in which people number files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from oneslice.choices import Format
from oneslice.errors import InputError

PICTURES = (".png", ".tif", ".tiff")
NIFTI = (".nii.gz", ".nii")
VOLUMES = (*NIFTI, ".seg.nrrd", ".nrrd", ".nhdr", ".mha", ".mhd")
DICOM = (".seg.dcm", ".dcm")
LABEL_MAPS = (*VOLUMES, ".seg.dcm")  # known as such, or as volumes, by their names
TWO_FILES = (".nhdr", ".mhd")  # the header alone
_KNOWN = (*VOLUMES, *PICTURES, *DICOM, ".zip", ".json")


_FORMATS = {
    ".nii.gz": Format.NIFTI,
    ".nii": Format.NIFTI,
    ".seg.nrrd": Format.SEG_NRRD,
    ".nrrd": Format.NRRD,
    ".nhdr": Format.NRRD,
    ".mha": Format.MHA,
    ".mhd": Format.MHA,
    ".seg.dcm": Format.DICOM_SEG,
    ".dcm": Format.DICOM_SEG,
}


def suffix_of(path: Path) -> str:
    """The known suffix a file name ends with (``.nii.gz`` whole, lower case), else ``""``."""
    name = path.name.lower()
    return next((s for s in _KNOWN if name.endswith(s) and name != s), "")


def stem_of(path: Path) -> str:
    """The name without its known suffix; a folder's name whole, its own where it is ``.``."""
    if os.path.isdir(path):  # noqa: PTH112 - it takes a name that is too long for no folder
        return path.resolve().name if path.name in ("", "..") else path.name
    return path.name[: len(path.name) - len(suffix_of(path))]


def native_format(path: str | Path) -> Format:
    """The format in which a scan's labels are written unless the user asks for another.

    The scan's own format; NIfTI for DICOM and pictures.
    """
    scan = Path(path)
    suffix = "" if scan.is_dir() else suffix_of(scan)
    found = Format.NIFTI if suffix in DICOM else _FORMATS.get(suffix, Format.NIFTI)
    return Format.NRRD if found is Format.SEG_NRRD else found


def output_format(path: Path) -> Format:
    """The format that an output's suffix asks for.

    Raises:
        InputError: a suffix that label maps are not written to.

    """
    suffix = suffix_of(path)
    if suffix not in _FORMATS or suffix in TWO_FILES:
        known = ", ".join(s for s in _FORMATS if s not in TWO_FILES)
        raise InputError(f"{path}: cannot write this kind of file; end its name with {known}")
    return _FORMATS[suffix]


def natural_key(path: Path) -> tuple[tuple[int, int | str], ...]:
    """Sort key under which ``slice2`` comes before ``slice10``."""
    parts = re.split(r"(\d+)", str(path).lower())
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in parts)


def by_stem(
    folder: Path, files: Iterable[Path], suffixes: tuple[str, ...]
) -> dict[str, list[Path]]:
    """Files of some kinds below a folder by path in it without suffix, in natural order."""
    wanted = (p for p in files if suffix_of(p) in suffixes and p.name[0] != ".")
    named: dict[str, list[Path]] = {}
    for path in sorted(wanted, key=natural_key):
        name = (path.parent.relative_to(folder) / stem_of(path)).as_posix()
        named.setdefault(name, []).append(path)
    return named


def only_one(files: list[Path]) -> Path:
    """The file of a name.

    Raises:
        InputError: there are several.

    """
    if len(files) > 1:
        raise InputError(
            f"{files[0]} and {files[1].name} differ in suffix only: keep the one that is meant"
        )
    return files[0]
