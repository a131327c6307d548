"""What every reader returns: an array with its grid and what the file says about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from oneslice.choices import Modality
from oneslice.errors import InputError
from oneslice.geometry import Array, Geometry

_RIGHT_ANGLE = 0.01  # cosine: about half a degree


@dataclass(frozen=True, eq=False)
class Image:
    """Values of a file before it is known whether they are intensities or labels.

    Args:
        array: (I, J, K) numbers.
        geometry: its grid.
        modality: None if the file does not say.
        slice_axis: the through-plane axis, None if the file does not say.
        header: text fields of the file.
        located: whether the file says where its slices lie; pictures and 2D files do not.
        series: the SeriesInstanceUID of a DICOM series, None if it is none.

    """

    array: Array
    geometry: Geometry
    modality: Modality | None = None
    slice_axis: int | None = None
    header: Mapping[str, str] = field(default_factory=dict)
    located: bool = True
    series: str | None = None


def refuse_colours(path: Path, components: int) -> None:
    """Raise InputError if a voxel holds more than one number."""
    if components > 1:
        raise InputError(
            f"{path}: has {components} values per voxel (colour, vectors or complex); "
            "save one of them, or a greyscale version, and give that"
        )


def pick_frame(path: Path, count: int, frame: int | None) -> int:
    """The index of the frame to read from a file that holds ``count`` of them.

    Where there is one frame there is no choice, and ``frame`` may be meant for other files.

    Raises:
        InputError: there are several and none was chosen, or the choice is out of range.

    """
    if count == 1:
        return 0
    if frame is None:
        raise InputError(
            f"{path}: holds {count} frames (4D); save one of them, or where there is the option "
            f"choose it with --frame 0 to --frame {count - 1}"
        )
    if not 0 <= frame < count:
        raise InputError(
            f"{path}: has no frame {frame}; it holds {count}, counted from 0 to {count - 1}"
        )
    return frame


def right_angled(geometry: Geometry, path: Path) -> Geometry:
    """The geometry itself.

    Raises:
        InputError: its axes are not at right angles.

    """
    direction = geometry.direction
    if np.abs(direction.T @ direction - np.eye(3)).max() > _RIGHT_ANGLE:
        raise InputError(
            f"{path}: its axes are not at right angles (a sheared affine); "
            "resample it to a grid with right angles and give that"
        )
    return geometry


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever a library raises on a broken file into one line.

    Raises:
        InputError: in place of any other exception.

    """
    try:
        yield
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{path}: does not fit into memory") from error
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        raise InputError(f"{path}: is cut short or damaged; copy or export it again") from error
