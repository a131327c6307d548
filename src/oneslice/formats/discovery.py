"""Finds the scans that file names, folders and patterns stand for."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from oneslice.errors import InputError
from oneslice.formats.dicom_files import (
    Header,
    dicom_files,
    is_dicom,
    is_multi_frame,
    scan_headers,
)
from oneslice.formats.pictures import pictures_in
from oneslice.formats.sidecar import has_sidecar, sidecar_path
from oneslice.formats.spread import join_spread
from oneslice.formats.suffixes import PICTURES, VOLUMES, natural_key, suffix_of


def find_scans(patterns: Sequence[str | Path]) -> list[Path]:
    """The scans that the patterns name, each once, in the order of their numbers.

    A file is a scan, and several files of one DICOM folder are that folder's; where it holds
    several series or multi-frame objects, each of theirs is a scan, by one of its files. A folder
    that holds a DICOM series or a stack of pictures is one scan, one with volume files gives each
    of them, and subfolders, linked ones too, are searched likewise; those that hold parts of one
    DICOM series are one scan, named after the folder above them. Patterns may hold ``*``,
    ``?``, ``[...]`` and ``**``. Label maps that oneslice wrote (a sidecar lies beside them), hidden
    files and zip archives within folders are passed over.

    Raises:
        InputError: a pattern that is empty or gives nothing, a file that is such a label map, or a
            folder that cannot be read.

    """
    found: list[Path] = []
    for pattern in patterns:
        scans = list(_expand(str(pattern)))
        if not scans:
            raise InputError(f"{pattern}: no scan found there")
        found += scans
    unique = join_spread(_unique(_by_series(_unique(found))))
    folders = {path.resolve() for path in unique if path.is_dir()}
    whole = {path for path in unique if path.is_dir() or suffix_of(path) in VOLUMES}
    kept = (path for path in unique if path in whole or path.parent.resolve() not in folders)
    return sorted(kept, key=natural_key)


def _unique(paths: Iterable[Path]) -> list[Path]:
    """Each file and folder once, under the first of its names."""
    named: dict[Path, Path] = {}
    for path in paths:
        named.setdefault(path.resolve(), path)
    return list(named.values())


def _expand(pattern: str) -> Iterator[Path]:
    if not pattern.strip():
        raise InputError("a scan's name is empty (a variable that is not set?); this folder is .")
    path = Path(pattern)
    if path.is_dir():
        yield from _in_folder(path, set())
    elif path.exists():
        if has_sidecar(path):
            record = sidecar_path(path).name
            raise InputError(f"{path}: is a label map of oneslice's ({record} says so), not a scan")
        yield path
    elif glob.has_magic(pattern):
        for match in map(Path, glob.glob(pattern, recursive=True)):  # noqa: PTH207
            if match.is_dir():
                yield from _in_folder(match, set())
            elif _is_readable(match):
                yield match
    else:
        raise InputError(f"{path}: there is no such file or folder")


def _is_readable(path: Path) -> bool:
    """Whether a file that a pattern happened to match is a scan."""
    if suffix_of(path) in VOLUMES:
        return not has_sidecar(path)
    return suffix_of(path) in (*PICTURES, ".zip") or is_dicom(path)


def _in_folder(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """The scans in a folder and below; ``seen`` are folders that a link may lead back to."""
    if folder.resolve() in seen:
        return
    seen.add(folder.resolve())
    try:
        entries = sorted(entry for entry in folder.iterdir() if entry.name[0] != ".")
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror})") from error
    files = [entry for entry in entries if entry.is_file()]
    # a link to nothing is a scan that is missing: reading says so
    volumes = [each for each in entries if suffix_of(each) in VOLUMES and not each.is_dir()]
    yield from (file for file in volumes if not has_sidecar(file))
    if _holds_series(files) or (pictures_in(folder) and not volumes):
        yield folder
    for entry in sorted(entries, key=Path.is_symlink):  # what lies here keeps its own name
        if entry.is_dir():
            yield from _in_folder(entry, seen)


def _holds_series(files: Iterable[Path]) -> bool:
    """Whether any of the files is a slice; a damaged one counts, so that reading reports it."""
    return any(_is_slice(file) for file in files if is_dicom(file))


def _is_slice(file: Path) -> bool:
    try:
        return bool(scan_headers([file]))
    except InputError:
        return True


def _by_series(paths: Sequence[Path]) -> list[Path]:
    """Replace several DICOM files of one folder by what stands for their series."""
    together: dict[Path, list[Path]] = {}
    for path in paths:
        if path.is_file() and is_dicom(path):
            together.setdefault(path.parent.resolve(), []).append(path)
    several = [files for files in together.values() if len(files) > 1]
    replaced = {file for files in several for file in files}
    kept = [path for path in paths if path not in replaced]
    return kept + [scan for files in several for scan in _scans_of(files)]


def _scans_of(files: Sequence[Path]) -> list[Path]:
    """Of DICOM files in one folder: the folder, or one file of each scan where it holds several."""
    folder = files[0].parent
    try:
        headers = scan_headers(dicom_files(folder))
    except InputError:  # reading the folder says so
        return [folder]
    scans = {Path(str(header.filename)).name: _scan_of(header) for header in headers}
    if len(set(scans.values())) < 2:
        return [folder]
    ordered = sorted(files, key=natural_key, reverse=True)
    first = {scans[file.name]: file for file in ordered if file.name in scans}
    return list(first.values()) or list(files)


def _scan_of(header: Header) -> str:
    """What the slices of one scan share; a multi-frame object is a scan by itself."""
    return str(header.filename if is_multi_frame(header) else header.get("SeriesInstanceUID"))
