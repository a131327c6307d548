"""DICOM series whose slices lie in several folders: one scan, found in the folder above them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from oneslice.errors import InputError, OneSliceWarning
from oneslice.formats.dicom import plane_of
from oneslice.formats.dicom_files import (
    Header,
    dicom_files,
    is_dicom,
    is_multi_frame,
    scan_headers,
)
from oneslice.formats.stack import stack_planes


def join_spread(scans: Sequence[Path]) -> list[Path]:
    """Put the folder above them in the place of folders that hold parts of one scan.

    A file stands for its folder. Parts have one SeriesInstanceUID, and together they are a regular
    stack; copies of a series, or its echoes, are not. Where other scans lie below that folder too,
    a warning says so, and the parts stay scans apart.
    """
    together: dict[str, dict[Path, Path]] = {}  # the folders of each series, and what was given
    for scan in scans:
        if series := _series_of(scan):
            folder = scan if scan.is_dir() else scan.parent
            together.setdefault(series, {})[folder] = scan
    for parts in together.values():
        if len(parts) > 1 and _is_stack(
            header for part in parts for header in scan_headers(dicom_files(part))
        ):
            above = _above([*parts])
            if _holds_only(above, [*parts]):
                scans = [above, *(scan for scan in scans if scan not in parts.values())]
            else:
                warnings.warn(_apart([*parts.values()], above), OneSliceWarning, stacklevel=2)
    return [*scans]


def _series_of(scan: Path) -> str:
    """The UID of the first slice of it; empty where it is none, or damaged."""
    try:
        files = (f for f in sorted(scan.iterdir()) if f.is_file()) if scan.is_dir() else [scan]
        headers = (header for file in files if is_dicom(file) for header in scan_headers([file]))
        first = next(headers, None)
    except (InputError, OSError):  # reading it says so
        return ""
    if first is None or is_multi_frame(first):
        return ""
    return str(first.get("SeriesInstanceUID", ""))


def _is_stack(headers: Iterable[Header]) -> bool:
    try:
        stack_planes([plane_of(header, Path()) for header in headers], "")
    except InputError:
        return False
    return True


def _above(parts: Sequence[Path]) -> Path:
    """The folder that all parts lie below, as it is named where all are named alike."""
    absolute = any(part.is_absolute() for part in parts)
    return Path(os.path.commonpath([part.absolute() if absolute else part for part in parts]))


def _holds_only(folder: Path, parts: Sequence[Path]) -> bool:
    """Whether reading a folder gives the slices of these parts and no others."""
    try:
        read = {
            Path(header.filename).resolve().parent for header in scan_headers(dicom_files(folder))
        }
    except InputError:  # a damaged file of another scan
        return False
    return read == {part.resolve() for part in parts}


def _apart(parts: Sequence[Path], above: Path) -> str:
    return (
        f"{parts[0]} and {len(parts) - 1} more hold slices of one scan, but are taken for scans "
        f"apart, as {above} holds others too; put them into a folder of their own"
    )
