"""DICOM series: a folder, a zip archive of one, or one of its files.

Headers are parsed by pydicom. Pixels of classic (single-frame) series are decoded by ITK's GDCM,
which knows every common compression and applies each slice's own rescale slope and intercept;
multi-frame objects are read by highdicom, through pydicom, which finds GDCM for JPEG Lossless.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np

from oneslice.choices import Modality
from oneslice.errors import InputError, first_line
from oneslice.formats.dicom_files import (
    Header,
    dicom_files,
    is_multi_frame,
    is_scan,
    opened_zip,
    pick_series,
    read_headers,
    scan_headers,
)
from oneslice.formats.image import Image, reading, refuse_colours
from oneslice.formats.itk import file_reader, simple_itk
from oneslice.formats.stack import Plane, stack_planes
from oneslice.formats.suffixes import suffix_of
from oneslice.geometry import Array, Geometry
from oneslice.volume import Series

_RIGHT_ANGLE = 1e-3  # cosine between rows and columns
_MODALITIES = {"CT": Modality.CT, "MR": Modality.MR}


def read_dicom(path: Path, series: str | None = None) -> Image:
    """Read one series as (columns, rows, slices), float32 in rescaled units.

    Args:
        path: a folder, a ``.zip``, or one file: a multi-frame object, or a slice, which stands for
            its series in its folder.
        series: the series to take where there are several, as ``read_volume``'s.

    Raises:
        InputError: no series or several, slices that do not make a regular stack, colour, or
            pixels that cannot be decoded.

    """
    with _series_headers(path, series) as headers:
        return _read_series(headers, path)


def read_source(series: Series) -> list[Header]:
    """The whole headers of a series' objects, without pixels.

    Raises:
        InputError: they are not there any more, or damaged.

    """
    import pydicom

    with reading(series.path), _series_headers(series.path, series.uid) as headers:
        files = [header.filename for header in headers]
        return [pydicom.dcmread(file, stop_before_pixels=True, force=True) for file in files]


@contextmanager
def _series_headers(path: Path, series: str | None) -> Iterator[list[Header]]:
    """What ``read_dicom`` reads of a path: the headers of the slices of one series."""
    with opened_zip(path) if suffix_of(path) == ".zip" else nullcontext(path) as place:
        if place.is_dir():
            files = dicom_files(place)
        else:
            files, series = _of_one_file(place)
        yield pick_series(scan_headers(files), series, path)


def _of_one_file(path: Path) -> tuple[list[Path], str]:
    """The files that belong to one file's series, and its UID."""
    own = read_headers([path])
    if not own:
        raise InputError(f"{path}: is the table of contents of DICOM files; give their folder")
    if not is_scan(own[0]):
        raise InputError(
            f"{path}: is no DICOM image but {own[0].SOPClassUID.name}; give a slice of the scan or "
            "its folder, and labels as DICOM SEG, NIfTI or NRRD"
        )
    files = [path] if is_multi_frame(own[0]) else dicom_files(path.parent)
    return files, str(own[0].get("SeriesInstanceUID", ""))


def _read_series(headers: Sequence[Header], path: Path) -> Image:
    refuse_colours(path, max(int(h.get("SamplesPerPixel", 1)) for h in headers))
    _refuse_other_meanings(headers, path)
    multi_frame = [h for h in headers if is_multi_frame(h)]
    if not multi_frame:
        array, geometry = _read_slices(headers, path)
    elif len(headers) == 1:
        array, geometry = _read_multi_frame(headers[0], path)
    else:
        raise InputError(f"{path}: {len(headers)} multi-frame objects in one series; give one file")
    return Image(
        array,
        geometry,
        _MODALITIES.get(headers[0].get("Modality", "")),
        slice_axis=2,
        series=str(headers[0].get("SeriesInstanceUID", "")),
    )


def _refuse_other_meanings(headers: Sequence[Header], path: Path) -> None:
    """Raise where pixels would be decoded, but not into slices, or not into Hounsfield units."""
    for header in headers:
        name = Path(str(header.filename)).name
        if "MOSAIC" in str(header.get("ImageType", "")):
            raise InputError(
                f"{path}: {name} is a mosaic, a volume as tiles of one picture; convert it to "
                "NIfTI with dcm2niix and give that"
            )
        kind = header.get("Modality"), header.get("PhotometricInterpretation")
        if kind == ("CT", "MONOCHROME1"):
            raise InputError(
                f"{path}: {name} is a CT stored inverted (MONOCHROME1), whose Hounsfield units "
                "would be misread; convert the scan to NIfTI and give that"
            )


def _read_slices(headers: Sequence[Header], path: Path) -> tuple[Array, Geometry]:
    order, geometry = stack_planes([plane_of(header, path) for header in headers], str(path))
    array = np.empty(geometry.shape, np.float32, order="F")
    for k, n in enumerate(order):
        array[:, :, k] = _pixels(Path(str(headers[n].filename)))
    return array, geometry


def plane_of(header: Header, path: Path) -> Plane:
    """Where a slice lies.

    Raises:
        InputError: its header does not say that.

    """
    try:
        cosines = np.array(header.ImageOrientationPatient, float).reshape(2, 3)
        lengths = np.linalg.norm(cosines, axis=1, keepdims=True)
        rows_apart, columns_apart = (float(value) for value in header.PixelSpacing)
        straight = abs(cosines[0] @ cosines[1]) < _RIGHT_ANGLE * lengths.prod()
        if not (straight and min(rows_apart, columns_apart) > 0):
            raise ValueError("no grid has such axes")
        cosines /= lengths
        thickness = header.get("SpacingBetweenSlices") or header.get("SliceThickness") or 1.0
        return Plane(
            position=np.array(header.ImagePositionPatient, float).reshape(3),
            along_row=cosines[0],
            along_column=cosines[1],
            spacing=(columns_apart, rows_apart),
            size=(int(header.Columns), int(header.Rows)),
            thickness=abs(float(thickness)),
            name=Path(str(header.filename)).name,
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: {Path(str(header.filename)).name} does not say where its slice lies "
            "(position, directions at right angles, pixel spacing); leave it out, or convert the "
            "scan to NIfTI"
        ) from error


def _pixels(file: Path) -> Array:
    """(columns, rows), rescaled."""
    reader = file_reader(file)
    reader.SetImageIO("GDCMImageIO")
    try:
        pixels: Array = simple_itk().GetArrayFromImage(reader.Execute())[0].T
    except RuntimeError as error:
        raise _undecodable(file) from error
    return pixels


def _read_multi_frame(header: Header, path: Path) -> tuple[Array, Geometry]:
    import highdicom

    file = Path(str(header.filename))
    try:
        image = highdicom.imread(file)
        volume = image.get_volume(dtype=np.float32, apply_real_world_transform=False)
    except Exception as error:
        raise InputError(
            f"{path}: its frames cannot be read as one regular volume ({first_line(error)}); "
            "convert it to NIfTI, for instance with dcm2niix"
        ) from error
    return from_highdicom(volume.array, volume.affine)


def from_highdicom(array: Array, affine: Array) -> tuple[Array, Geometry]:
    """From highdicom's [slice, row, column] to [column, row, slice], slices along the normal.

    Both are in LPS.
    """
    array = array.transpose(2, 1, 0)
    affine = np.asarray(affine)[:, [2, 1, 0, 3]]
    if np.linalg.det(affine[:3, :3]) < 0:
        affine[:, 3] += affine[:, 2] * (array.shape[2] - 1)
        affine[:, 2] *= -1
        array = array[:, :, ::-1]
    return array, Geometry(array.shape, affine)


def to_highdicom(array: Array, geometry: Geometry) -> tuple[Array, Array]:
    """From [column, row, slice] to highdicom's [slice, row, column], and the affine, in LPS."""
    return array.transpose(2, 1, 0), geometry.affine[:, [2, 1, 0, 3]]


def _undecodable(file: Path) -> InputError:
    """Say which compression could not be read, if it is that."""
    import pydicom
    from pydicom.uid import UID

    try:
        meta = pydicom.filereader.read_file_meta_info(file)
        syntax = UID(str(meta.get("TransferSyntaxUID", "")))
    except (OSError, EOFError, ValueError, AttributeError):
        syntax = UID("")
    kind = f" ({syntax.name})" if syntax else ""
    return InputError(
        f"{file}: pixels{kind} cannot be decoded; the file is cut short or compressed in an "
        "unusual way: copy it again, or convert it with gdcmconv --raw"
    )
