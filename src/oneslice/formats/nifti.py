"""Two things about NIfTI files that ITK does not tell: are they whole, which axis is the slice's.

ITK reads a truncated NIfTI file without an error, the rest as zeros, and writes one without an
error on a full disk. So the length is checked against the header.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Mapping
from pathlib import Path

from oneslice.errors import InputError

_CHUNK = 1 << 20


def slice_axis(header: Mapping[str, str]) -> int | None:
    """The slice axis that ``dim_info`` names, None where it names none."""
    axis = (int(header.get("dim_info", "0")) >> 4 & 3) - 1
    return axis if axis >= 0 else None


def check_whole(path: Path, header: Mapping[str, str]) -> None:
    """Raise InputError if the file is shorter than its header says, or its compression is broken.

    Args:
        path: a ``.nii`` or ``.nii.gz`` file.
        header: its fields as ITK names them (``dim[0]``, ``bitpix``, ``vox_offset``).

    """
    sizes = [int(header[f"dim[{axis}]"]) for axis in range(1, 1 + int(header["dim[0]"]))]
    voxels = math.prod(max(size, 1) for size in sizes)
    expected = int(float(header["vox_offset"])) + voxels * int(header["bitpix"]) // 8
    found = _uncompressed_length(path)
    if found is None or found < expected:
        raise InputError(f"{path}: the file is cut short or damaged; copy or export it again")


def _uncompressed_length(path: Path) -> int | None:
    """The number of bytes, None if decompression fails."""
    with path.open("rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return path.stat().st_size
        file.seek(0)
        try:
            return _drain(gzip.GzipFile(fileobj=file))
        except (EOFError, OSError, zlib.error):
            return None


def _drain(file: gzip.GzipFile) -> int:
    length = 0
    while chunk := file.read(_CHUNK):
        length += len(chunk)
    return length
