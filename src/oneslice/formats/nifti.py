"""NIfTI's own troubles, kept away from the rest.

ITK reads a truncated file without an error, the rest as zeros; writes one without an error on a
full disk; reads NaN and infinity as zero; and reads ``a.nii`` when asked for ``a.nii.gz`` if both
exist. So compressed files are unpacked under a private name first, and the bytes are checked.
"""

from __future__ import annotations

import gzip
import math
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import numpy as np

from oneslice.errors import InputError

_FLOATS = {16: "f4", 64: "f8"}  # by NIfTI's datatype codes
_HEADER_SIZES = (348, 540)  # NIfTI-1 and NIfTI-2


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Yield an uncompressed file with the same content, for as long as the context lasts.

    Raises:
        InputError: broken compression.

    """
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    if not compressed and path.suffix == ".nii":
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="oneslice-") as folder:
        plain = Path(folder) / "image.nii"
        try:
            opened: IO[bytes] = cast(IO[bytes], gzip.open(path)) if compressed else path.open("rb")
            with opened as source, plain.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise damaged(path) from error
        yield plain


def check_length(plain: Path, header: Mapping[str, str], path: Path) -> None:
    """Raise InputError if an uncompressed file is shorter than its header says.

    Args:
        plain: the file.
        header: its fields as ITK names them (``dim[0]``, ``bitpix``, ``vox_offset``).
        path: what to call it in the message.

    """
    sizes = [int(header[f"dim[{axis}]"]) for axis in range(1, 1 + int(header["dim[0]"]))]
    voxels = math.prod(max(size, 1) for size in sizes)
    expected = int(float(header["vox_offset"])) + voxels * int(header["bitpix"]) // 8
    if plain.stat().st_size < expected:
        raise damaged(path)


def check_finite(plain: Path, header: Mapping[str, str], path: Path) -> None:
    """Raise InputError if an uncompressed file of floats holds NaN or infinity.

    Args:
        plain: the file.
        header: its fields as ITK names them (``datatype``, ``vox_offset``).
        path: what to call it in the message.

    """
    kind = _FLOATS.get(int(header["datatype"]))
    if kind is None:
        return
    with plain.open("rb") as file:
        order = "<" if int.from_bytes(file.read(4), "little") in _HEADER_SIZES else ">"
        file.seek(int(float(header["vox_offset"])))
        while len(values := np.fromfile(file, order + kind, 1 << 20)):
            if not np.isfinite(values).all():
                raise InputError(
                    f"{path}: holds NaN or infinite values; replace them (for instance by the "
                    "background's value) and try again"
                )


def damaged(path: Path) -> InputError:
    """What to say of a file that is not whole."""
    return InputError(f"{path}: the file is cut short or damaged; copy or export it again")


def slice_axis(header: Mapping[str, str]) -> int | None:
    """The slice axis that ``dim_info`` names, None where it names none."""
    axis = (int(header.get("dim_info", "0")) >> 4 & 3) - 1
    return axis if axis >= 0 else None
