"""Reads and writes label maps with their names and colours."""

from __future__ import annotations

from pathlib import Path

from oneslice.choices import Format
from oneslice.formats.atomic import atomic_path
from oneslice.formats.by_name import spread_by_name
from oneslice.formats.dicom_seg import find_segmentation, read_segmentation
from oneslice.formats.image import reading
from oneslice.formats.itk import write_itk
from oneslice.formats.nifti import write_nifti
from oneslice.formats.reading import read_image
from oneslice.formats.sidecar import read_sidecar
from oneslice.formats.slicer import segments_to_structures, structures_to_segments
from oneslice.formats.suffixes import output_format
from oneslice.volume import LabelMap, Volume


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
        return LabelMap(*read_segmentation(segmentation, scan), str(path), path)
    image = read_image(path, frame=frame, palette=True)
    if scan is not None and not image.located:
        image = spread_by_name(image, path, scan)
    structures = segments_to_structures(image.header) or read_sidecar(path)
    return LabelMap(image.array, image.geometry, structures, str(path), path)


def write_label_map(labels: LabelMap, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a label map on its exact grid, compressed, as uint8 or uint16.

    The suffix chooses the format: ``.nii.gz``, ``.nii``, ``.nrrd``, ``.seg.nrrd`` (with names and
    colours, as 3D Slicer reads them) or ``.mha``. The file is either whole or absent.

    Returns:
        The path written.

    Raises:
        InputError: another suffix, the file exists and ``overwrite`` is false, or it cannot be
            written.

    """
    target = Path(path)
    form = output_format(target)
    with atomic_path(target, overwrite) as temporary:
        if form is Format.NIFTI:
            write_nifti(labels.array, labels.geometry, temporary)
        else:
            header = structures_to_segments(labels) if form is Format.SEG_NRRD else {}
            write_itk(labels.array, labels.geometry, header, temporary)
    return target
