"""DICOM segmentation objects (SEG) through highdicom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from oneslice.errors import InputError, first_line
from oneslice.formats.dicom import from_highdicom
from oneslice.formats.dicom_files import (
    dicom_files,
    is_dicom,
    is_segmentation,
    read_headers,
)
from oneslice.geometry import Array, Geometry
from oneslice.volume import Structure, Volume, default_color


def find_segmentation(path: Path) -> Path | None:
    """The SEG file at ``path`` or in that folder, None if there is none.

    Raises:
        InputError: several of them.

    """
    files = dicom_files(path) if path.is_dir() else [path] if is_dicom(path) else []
    found = [header for header in read_headers(files) if is_segmentation(header)]
    if not found:
        return None
    if len(found) > 1:
        names = ", ".join(Path(str(header.filename)).name for header in found)
        raise InputError(f"{path}: holds {len(found)} segmentations, give one file of: {names}")
    return Path(str(found[0].filename))


def read_segmentation(
    file: Path, scan: Volume | None = None
) -> tuple[Array, Geometry, tuple[Structure, ...]]:
    """Labels (columns, rows, slices) on the grid that the object's own frames span.

    Frames without labels are usually not stored, so the grid may hold only a part of the scan's
    slices; ``place_on_grid`` puts it back.

    Args:
        file: a DICOM SEG.
        scan: what is labelled; it tells how far slices are apart where the object does not.

    Raises:
        InputError: overlapping segments, frames that do not lie on a regular grid, or fractions.

    """
    import highdicom
    import pydicom

    try:
        dataset = pydicom.dcmread(file)
        if scan is not None:
            _tell_spacing(dataset, scan)
        seg = highdicom.seg.Segmentation.from_dataset(dataset, copy=False)
        if seg.segmentation_type is highdicom.seg.SegmentationTypeValues.FRACTIONAL:
            raise ValueError("it holds fractions, not labels")
        volume = seg.get_volume(combine_segments=True, rescale_fractional=False)
    except Exception as error:
        raise InputError(
            f"{file}: cannot be read as one label map ({first_line(error)}); "
            "export it as non-overlapping labels on the scan's grid, for instance as NIfTI"
        ) from error
    array, geometry = from_highdicom(volume.array, volume.affine)
    return array, geometry, tuple(_structure(seg, number) for number in seg.segment_numbers)


def _tell_spacing(dataset: Any, scan: Volume) -> None:
    """Say how far the scan's slices are apart; frames of some slices alone do not show it."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    if not ("PixelMeasuresSequence" in shared and "PlaneOrientationSequence" in shared):
        return
    measures = shared.PixelMeasuresSequence[0]
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    normal = np.cross(*np.array(orientation, float).reshape(2, 3))
    along = int(np.abs(normal @ scan.geometry.direction).argmax())
    if "SpacingBetweenSlices" not in measures:
        measures.SpacingBetweenSlices = f"{scan.geometry.spacing[along]:.10g}"


def _structure(seg: Any, number: int) -> Structure:
    import highdicom

    description = seg.get_segment_description(number)
    stored = description.get("RecommendedDisplayCIELabValue")
    color = default_color(number)
    if stored is not None:
        red, green, blue = highdicom.color.CIELabColor.from_dicom_value(stored).to_rgb(clip=True)
        color = int(red), int(green), int(blue)
    return Structure(int(number), str(description.segment_label), color)
