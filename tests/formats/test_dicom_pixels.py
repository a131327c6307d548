"""How DICOM objects store their pixels: compressed, cut short, as frames of one object."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import generate_uid

from oneslice.choices import Modality
from oneslice.errors import InputError
from oneslice.formats import find_scans, read_volume
from oneslice.geometry import Geometry
from tests.formats.dicom_series import enhanced, series_datasets, write_series
from tests.formats.grids import ramp, same_grid

GRID = Geometry.from_parts((5, 4, 6), (0.7, 0.8, 2.5), (-10, 20, -30))
ARRAY = ramp(GRID.shape)


def write_compressed(path, pixels, compressor, tags):
    """One slice (columns, rows) as GDCM compresses it, without loss."""
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.UseCompressionOn()
    writer.SetCompressor(compressor)
    image = sitk.GetImageFromArray(pixels.T[None])
    for tag, value in tags.items():
        image.SetMetaData(tag, value)
    writer.SetFileName(str(path))
    writer.Execute(image)
    dataset = pydicom.dcmread(path)
    assert dataset.file_meta.TransferSyntaxUID.is_compressed
    return dataset


@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000"])
def test_compressed_pixels(tmp_path, compressor):
    grid = Geometry.from_parts((32, 24, 3))
    array = ramp(grid.shape)
    tags = {"0020|000e": generate_uid(), "0008|0060": "MR", "0020|0037": "1\\0\\0\\0\\1\\0"}
    for k in range(3):
        placed = tags | {"0020|0032": f"0\\0\\{k}"}
        write_compressed(tmp_path / f"{k}.dcm", array[:, :, k], compressor, placed)
    assert np.array_equal(read_volume(tmp_path).array, array)


@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000"])
def test_compressed_frames(tmp_path, compressor):
    grid = Geometry.from_parts((32, 24, 3))
    array = ramp(grid.shape)
    whole = enhanced(series_datasets(array, grid, intercept=-1000))
    slices = [
        write_compressed(tmp_path / "slice.dcm", array[:, :, k], compressor, {}) for k in (2, 1, 0)
    ]
    frames = [next(generate_frames(each.PixelData, number_of_frames=1)) for each in slices]
    whole.PixelData = encapsulate(frames)
    whole["PixelData"].is_undefined_length = True
    whole.file_meta.TransferSyntaxUID = slices[0].file_meta.TransferSyntaxUID
    whole.save_as(tmp_path / "compressed.dcm")
    assert np.array_equal(read_volume(tmp_path / "compressed.dcm").array, array - 1000)


def test_pixels_that_cannot_be_decoded(tmp_path):
    paths = write_series(tmp_path, ARRAY, GRID)
    paths[2].write_bytes(paths[2].read_bytes()[:-10])
    with pytest.raises(InputError, match=r"Explicit VR Little Endian\) cannot be decoded"):
        read_volume(tmp_path)


def test_multi_frame(tmp_path):
    whole = enhanced(series_datasets(ARRAY, GRID, intercept=-1000))
    whole.save_as(tmp_path / "enhanced.dcm")
    whole.SOPInstanceUID = generate_uid()
    whole.save_as(tmp_path / "again.dcm")
    with pytest.raises(InputError, match="2 multi-frame objects in one series; give one file"):
        read_volume(tmp_path)
    objects = [tmp_path / "again.dcm", tmp_path / "enhanced.dcm"]
    assert find_scans(objects) == objects
    volume = read_volume(tmp_path / "enhanced.dcm")
    assert same_grid(volume.geometry, GRID)
    assert np.array_equal(volume.array, ARRAY - 1000)
    assert volume.modality is Modality.CT
    mapping = pydicom.Dataset()
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 2.0, 5.0
    mapping.RealWorldValueFirstValueMapped, mapping.RealWorldValueLastValueMapped = -32768, 32767
    mapping.LUTLabel = "other"
    whole.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence = [mapping]
    whole.save_as(tmp_path / "mapped.dcm")
    assert np.array_equal(read_volume(tmp_path / "mapped.dcm").array, ARRAY - 1000)
