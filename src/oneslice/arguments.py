"""What is asked of a ``Segmenter``: arguments checked, and a scan read as its supports are."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from oneslice.checks import whole
from oneslice.choices import Modality
from oneslice.errors import InputError, OneSliceWarning
from oneslice.formats import read_volume
from oneslice.frames import modality_of
from oneslice.geometry import SliceView, aligned_view, matching_axis
from oneslice.settings import Settings
from oneslice.support import Support
from oneslice.volume import Volume

_PLANES = 32  # of a scan, that are enough to tell
_FEW = 0.1  # of neighbouring voxels within structures differ in label maps; most do in images


def as_supports(support: Support | Iterable[Support]) -> tuple[Support, ...]:
    """One support, or several.

    Raises:
        InputError: something else.
    """
    supports = (support,) if isinstance(support, Support) else support
    if isinstance(supports, str) or not isinstance(supports, Iterable):
        raise InputError(f"support {support!r}: give Support.load(image, labels)")
    supports = tuple(supports)
    if strangers := [each for each in supports if not isinstance(each, Support)]:
        raise InputError(f"support {strangers[0]!r}: give Support.load(image, labels)")
    return supports


def as_volume(scan: Volume | str | Path) -> Volume:
    """A scan, read if it is a path.

    Raises:
        InputError: something else, or a file that is no scan.
    """
    if isinstance(scan, Volume):
        return scan
    if not isinstance(scan, str | Path):
        raise InputError(
            f"a scan is a path or a Volume, not a {type(scan).__name__}; of an array make "
            "Volume(array, Geometry.from_parts(array.shape, spacing))"
        )
    return read_volume(scan)


def query_view(volume: Volume, support: Support, axis: int | None) -> SliceView:
    """How the query is read so that it shows the patient as the support does.

    Raises:
        InputError: there is no such axis.
    """
    if axis is not None:
        axis = whole(axis, "axis", 0, 2)
    elif volume.geometry.difference(support.image.geometry) is None:
        axis = support.view.axes[0]
    else:
        axis = matching_axis(volume.geometry, volume.through_plane_axis, support.directions)
    return aligned_view(volume.geometry, axis, support.directions)


def warn_of_kinds(scan: Volume, support: Volume, settings: Settings) -> None:
    """Warn if only one of scan and support is taken for a CT: each has its own window then."""
    if settings.modality is not None or settings.window is not None:
        return
    kinds = modality_of(scan), modality_of(support)
    if kinds.count(Modality.CT) == 1:
        warnings.warn(
            f"{scan.name} is shown as {kinds[0]}, the support as {kinds[1]}: give --modality or "
            "--window if that is wrong",
            OneSliceWarning,
            stacklevel=4,
        )


def warn_of_labels(scan: Volume) -> None:
    """Warn if a scan looks like a label map: whole numbers, and nearly all neighbours alike."""
    some = scan.array[:: max(1, len(scan.array) // _PLANES)]
    if some.min() < 0 or not np.array_equal(some, np.round(some)):
        return
    inside = (some[:, 1:] > 0) & (some[:, :-1] > 0)
    differ = inside & (some[:, 1:] != some[:, :-1])
    if differ.sum() < _FEW * inside.sum():
        warnings.warn(
            f"{scan.name} looks like a label map: if it is no scan, leave it out",
            OneSliceWarning,
            stacklevel=4,
        )
