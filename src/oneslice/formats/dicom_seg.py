"""DICOM segmentation objects (SEG) through highdicom."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import oneslice
from oneslice.errors import InputError, first_line
from oneslice.formats.dicom import from_highdicom, read_source, to_highdicom
from oneslice.formats.dicom_files import (
    Header,
    dicom_files,
    is_dicom,
    is_segmentation,
    read_headers,
)
from oneslice.geometry import Array, Geometry
from oneslice.volume import LabelMap, Structure, Volume, default_color

_LONGEST_LABEL = 64  # characters of the value representation LO (DICOM PS3.5, 6.2)
_NEW_SERIES = 1000  # added to the scan's series number, so that the two differ
_NO_SEG = "its labels cannot be a DICOM SEG; choose another format (NIfTI, NRRD, MetaImage)"
_UTF_8 = "ISO_IR 192"
# Of patient and study these may be empty (type 2: DICOM PS3.3, C.7.1.1 and C.7.2.1), but highdicom
# wants them to be there.
_MAY_LACK = (
    "AccessionNumber",
    "PatientBirthDate",
    "PatientID",
    "PatientName",
    "PatientSex",
    "StudyDate",
    "StudyID",
    "StudyTime",
)


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


def encode_segmentation(labels: LabelMap) -> bytes:
    """The labels as a DICOM SEG in the study of the series that is labelled.

    Segments are counted from 1 in the order of the labels' values, as the standard demands of
    binary ones (DICOM PS3.3, C.8.20.4). Slices without labels are left out unless all are.

    Returns:
        The content of a file.

    Raises:
        InputError: no DICOM series is labelled, its files are not there any more, or they lack what
            a SEG must refer to.

    """
    if labels.series is None:
        raise InputError(f"{labels.name}: is no DICOM scan, so {_NO_SEG}")
    source = read_source(labels.series)
    for header, keyword in product(source, _MAY_LACK):
        header.setdefault(keyword, None)
    _straighten(source, labels.geometry)
    content = BytesIO()
    try:
        _encode(labels, source).save_as(content, enforce_file_format=True)
    except Exception as error:
        raise InputError(f"{labels.series.path}: {first_line(error)}, so {_NO_SEG}") from error
    return content.getvalue()


def _straighten(source: Sequence[Header], geometry: Geometry) -> None:
    """Put slices exactly on the grid: stored positions are rounded.

    Frames refer to what lies in the very same place only. Multi-frame objects are left as they are.
    """
    for header in source:
        if "ImagePositionPatient" in header:
            k = geometry.to_index(np.array(header.ImagePositionPatient, float))[2].round()
            position = geometry.to_world(np.array([0, 0, k]))
            header.ImagePositionPatient = position.round(6).tolist()


def _encode(labels: LabelMap, source: Sequence[Header]) -> Any:
    import highdicom

    array, affine = to_highdicom(_numbered(labels), labels.geometry)
    return highdicom.seg.Segmentation(
        source_images=source,
        pixel_array=highdicom.Volume(
            array,
            affine,
            coordinate_system=highdicom.CoordinateSystemNames.PATIENT,
            frame_of_reference_uid=source[0].get("FrameOfReferenceUID"),
        ),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_describe(n, s) for n, s in enumerate(labels.structures, start=1)],
        series_instance_uid=highdicom.UID(),
        series_number=_NEW_SERIES + int(source[0].get("SeriesNumber") or 0),
        series_description="oneslice segmentation",
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="oneslice",
        manufacturer_model_name="oneslice",
        software_versions=oneslice.__version__,
        device_serial_number="0",
        specific_character_set=_UTF_8,
        omit_empty_frames=bool(array.any()),
    )


def _numbered(labels: LabelMap) -> Array:
    """The array with each structure's place in the list, from 1, instead of its value."""
    values = [0, *(structure.value for structure in labels.structures)]
    numbers = np.zeros(1 + max(values), np.uint16)
    numbers[values] = range(len(values))
    return numbers[labels.array]


def _describe(number: int, structure: Structure) -> Any:
    import highdicom
    from pydicom.sr.codedict import codes

    return highdicom.seg.SegmentDescription(
        number,
        segment_label(structure.name),
        segmented_property_category=codes.SCT.Tissue,  # no more is known; as 3D Slicer does
        segmented_property_type=codes.SCT.Tissue,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            "oneslice", codes.cid7162.ArtificialIntelligence, oneslice.__version__
        ),
        display_color=highdicom.color.CIELabColor.from_rgb(*structure.color),
    )


def segment_label(name: str) -> str:
    """A name as DICOM can hold it: no backslash, and 64 characters at most."""
    return " ".join(name.replace("\\", "/").split())[:_LONGEST_LABEL]
