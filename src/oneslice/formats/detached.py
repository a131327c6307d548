"""MetaImage and NRRD headers whose voxels lie in files of their own."""

from __future__ import annotations

import re
from pathlib import Path

from oneslice.errors import InputError
from oneslice.formats.suffixes import TWO_FILES, suffix_of

_NAMED = re.compile(rb"^(?:ElementDataFile *=|data ?file:) *([^\r\n]+?) *\r?$", re.M | re.I)


def files_of(path: Path) -> list[Path]:
    """A scan's file or folder, and the file of voxels that its header names, if it names one."""
    if suffix_of(path) not in TWO_FILES:
        return [path]
    named = _NAMED.search(path.read_bytes())
    name = named[1].decode(errors="surrogateescape") if named else "LOCAL"
    if name.upper().startswith(("LOCAL", "LIST")) or "%" in name:  # in the header, or many files
        return [path]
    return [path, path.parent / name]


def check_whole(path: Path) -> None:
    """Raise InputError if the file of voxels that a header names is not there."""
    for file in files_of(path)[1:]:
        if not file.exists():
            raise InputError(
                f"{path}: holds no voxels but says that they are in {file.name}, which is not "
                "beside it; copy both files, or save the scan as one (.mha, .nrrd, .nii.gz)"
            )
