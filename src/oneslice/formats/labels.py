"""Reads and writes label maps with their names and colours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from oneslice.choices import Format
from oneslice.formats.atomic import atomic_path
from oneslice.formats.by_name import spread_by_name
from oneslice.formats.dicom_seg import (
    encode_segmentation,
    find_segmentation,
    read_segmentation,
    segment_label,
)
from oneslice.formats.image import reading
from oneslice.formats.itk import write_itk
from oneslice.formats.nifti import write_nifti
from oneslice.formats.reading import read_image
from oneslice.formats.sidecar import read_sidecar
from oneslice.formats.slicer import segments_to_structures, structures_to_segments
from oneslice.formats.suffixes import output_format
from oneslice.volume import LabelMap, Structure, Volume


def read_label_map(
    path: str | Path,
    *,
    frame: int | None = None,
    scan: Volume | None = None,
) -> LabelMap:
    """Read a label map from any format that scans come in, or from DICOM SEG.

    Names and colours come from the file (Slicer's ``.seg.nrrd``, DICOM SEG), else from a sidecar
    ``<stem>.json`` beside it.

    Args:
        path: a file or folder.
        frame: which 3D label map to take from a 4D file, from 0; other files have no choice.
        scan: what is labelled; pictures of some slices of it are placed by their names, and it
            tells how far slices are apart where a DICOM SEG does not.

    Raises:
        InputError: as ``read_volume``; values that are no labels; overlapping segments; some of
            the scan's slices, in a file that does not say which.

    """
    path = Path(path)
    with reading(path):
        segmentation = find_segmentation(path) if path.exists() else None
    if segmentation is not None:
        found = LabelMap(*read_segmentation(segmentation, scan), str(path), path)
        return _with_own_values(found, read_sidecar(segmentation))
    image = read_image(path, frame=frame, palette=True)
    if scan is not None and not image.located:
        image = spread_by_name(image, path, scan)
    structures = segments_to_structures(image.header) or read_sidecar(path)
    return LabelMap(image.array, image.geometry, structures, str(path), path)


def _with_own_values(labels: LabelMap, known: tuple[Structure, ...]) -> LabelMap:
    """Labels of a DICOM SEG of ours, whose segments are counted, with the values they had before.

    The sidecar tells them, if it describes the same segments.
    """
    if [s.name for s in labels.structures] != [segment_label(s.name) for s in known]:
        return labels
    values = np.array([0, *(s.value for s in known)], np.uint16)
    return replace(labels, array=values[labels.array], structures=known)


def write_label_map(labels: LabelMap, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a label map on its exact grid, compressed, as uint8 or uint16.

    The suffix chooses the format: ``.nii.gz``, ``.nii``, ``.nrrd``, ``.seg.nrrd`` (with names and
    colours, as 3D Slicer reads them), ``.mha``, or, where a DICOM series is labelled, ``.seg.dcm``
    or ``.dcm`` (DICOM SEG, with names and colours). The file is either whole or absent.

    Returns:
        The path written.

    Raises:
        InputError: another suffix, the file exists and ``overwrite`` is false, or it cannot be
            written; as ``encode_segmentation``.

    """
    target = Path(path)
    form = output_format(target)
    with atomic_path(target, overwrite) as temporary:
        if form is Format.NIFTI:
            write_nifti(labels.array, labels.geometry, temporary)
        elif form is Format.DICOM_SEG:
            temporary.write_bytes(encode_segmentation(labels))
        else:
            header = structures_to_segments(labels) if form is Format.SEG_NRRD else {}
            write_itk(labels.array, labels.geometry, header, temporary)
    return target


def refuse_format(scan: Volume, target: Path) -> None:
    """Raise before any work is done if a scan's labels cannot be written as the suffix asks.

    Raises:
        InputError: as ``encode_segmentation``.

    """
    if output_format(target) is Format.DICOM_SEG:
        array = np.zeros(scan.geometry.shape, np.uint8)
        array[0, 0, 0] = 1  # a slice without labels would be left out
        encode_segmentation(LabelMap(array, scan.geometry, name=scan.name, series=scan.series))
