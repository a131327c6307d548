"""Which files are DICOM, and which series they form."""

from __future__ import annotations

import os
import tempfile
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from oneslice.errors import InputError
from oneslice.formats.image import reading
from oneslice.formats.suffixes import DICOM, natural_key, suffix_of

# Objects that refer to scans, or derive from them, and are no scans themselves.
_NOT_SCANS = frozenset({"DOC", "KO", "PR", "REG", "RTDOSE", "RTPLAN", "RTSTRUCT", "SEG", "SR"})
_DIRECTORY = "1.2.840.10008.1.3.10"
_IMAGE = "Image Storage"  # in the names of the classes of images
_TAGS = [
    "Columns",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImageType",
    "Modality",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "PixelSpacing",
    "Rows",
    "SOPClassUID",
    "SamplesPerPixel",
    "SeriesDescription",
    "SeriesInstanceUID",
    "SliceThickness",
    "SpacingBetweenSlices",
]

Header = Any  # pydicom.Dataset, imported on first use only


def is_dicom(path: Path) -> bool:
    """Whether it is named so, or carries DICOM's mark; other known suffixes are not opened."""
    if suffix := suffix_of(path):
        return suffix in DICOM
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def dicom_files(folder: Path) -> list[Path]:
    """The DICOM files directly in a folder; where none is an image, those anywhere below it."""
    direct = [file for file in _files(folder) if is_dicom(file)]
    if any(_has_pixels(file) for file in direct):
        return direct
    return [file for file in _files_below(folder) if is_dicom(file)]


def _has_pixels(file: Path) -> bool:
    """Whether it is an image or a segmentation; a damaged file counts: reading reports it."""
    try:
        return any("Rows" in header for header in read_headers([file]))
    except InputError:
        return True


def _files(folder: Path) -> list[Path]:
    visible = (file for file in folder.iterdir() if not file.name.startswith("."))
    return sorted((file for file in visible if file.is_file()), key=natural_key)


def _files_below(folder: Path) -> list[Path]:
    files = []
    for below, folders, _ in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if name[0] != "."]  # only these are gone through
        files += _files(Path(below))
    return files


def _refuse(error: OSError) -> None:
    """Let ``os.walk`` stop at a folder that it may not read, instead of passing it over."""
    raise error


@contextmanager
def opened_zip(path: Path) -> Iterator[Path]:
    """Yield a temporary folder with the archive's content; errors name the archive instead.

    Raises:
        InputError: not a zip archive, damaged, or encrypted; or what is raised on its content.

    """
    with tempfile.TemporaryDirectory(prefix="oneslice-") as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)
        except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
            raise InputError(f"{path}: is not a whole zip archive; copy it again") from error
        except RuntimeError as error:
            raise InputError(f"{path}: is encrypted; unpack it and give the folder") from error
        try:
            yield Path(folder)
        except InputError as error:
            raise InputError(str(error).replace(folder, str(path))) from error


def read_headers(files: Iterable[Path]) -> list[Header]:
    """The files' headers, each with its ``filename``; a DICOMDIR has none.

    Raises:
        InputError: a damaged file; it may be a slice, so it is not passed over.

    """
    import pydicom

    headers = []
    for file in files:
        with reading(file), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not file.stat().st_size:
                raise InputError(f"{file}: the file is empty")
            header = pydicom.dcmread(
                file,
                stop_before_pixels=True,
                force=True,  # some have no mark
                specific_tags=_TAGS,
            )
            list(header)  # values are parsed when they are asked for, and errors come then
            if header.file_meta.get("MediaStorageSOPClassUID") != _DIRECTORY:
                _refuse_cut(header)
                headers.append(header)
    return headers


def _refuse_cut(header: Header) -> None:
    if "SOPClassUID" not in header:
        raise ValueError("the header ends before it says what the object is")
    kinds = header.SOPClassUID, header.file_meta.get("MediaStorageSOPClassUID", header.SOPClassUID)
    is_image = any(_IMAGE in kind.name for kind in kinds)
    if is_image and header.get("Modality") not in _NOT_SCANS and "Rows" not in header:
        raise ValueError("the header of an image ends before it says how large it is")


def is_scan(header: Header) -> bool:
    """Whether the object is an image, and not made from one."""
    return "Rows" in header and header.get("Modality") not in _NOT_SCANS


def scan_headers(files: Iterable[Path]) -> list[Header]:
    """The headers of those files that are images; see ``read_headers``."""
    return [header for header in read_headers(files) if is_scan(header)]


def is_multi_frame(header: Header) -> bool:
    """Whether positions lie with the frames; classic slices may say that they have one frame."""
    frames = header.get("NumberOfFrames")
    return frames is not None and (int(frames) > 1 or "ImagePositionPatient" not in header)


def is_segmentation(header: Header) -> bool:
    """Whether the object is a DICOM SEG."""
    return bool(header.get("Modality") == "SEG")


def pick_series(headers: Sequence[Header], series: str | None, path: Path) -> list[Header]:
    """The headers of one series, chosen by its UID or by a pattern for its description.

    Raises:
        InputError: no images, no such series, or several and none was chosen.

    """
    by_uid: dict[str, list[Header]] = {}
    for header in headers:
        by_uid.setdefault(str(header.get("SeriesInstanceUID", "")), []).append(header)
    if not by_uid:
        raise InputError(f"{path}: no DICOM images in it; give a scan's file or its folder")
    found = [uid for uid in by_uid if series is None or _is_meant(series, uid, by_uid[uid][0])]
    if len(found) == 1:
        return by_uid[found[0]]
    listing = "; ".join(_describe(uid, by_uid[uid]) for uid in found or by_uid)
    if not found:
        raise InputError(f"{path}: has no series {series}, only: {listing}")
    kind = "" if series is None else f" that are {series}"
    raise InputError(
        f"{path}: holds {len(found)} series{kind}, choose with --series UID or description "
        f"('T2*'), or give a file of the one meant: {listing}"
    )


def _is_meant(series: str, uid: str, header: Header) -> bool:
    name, wanted = _description(header).lower(), series.lower()
    return uid == series or name == wanted or fnmatchcase(name, wanted)


def _description(header: Header) -> str:
    return str(header.get("SeriesDescription", "")).strip()


def _describe(uid: str, headers: Sequence[Header]) -> str:
    first = headers[0]
    text = _description(first) or "no description"
    count = sum(int(header.get("NumberOfFrames") or 1) for header in headers)
    return f"{uid} ({text}, {first.get('Modality', '?')}, {count} slices)"
