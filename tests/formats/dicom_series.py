"""Writes DICOM series with pydicom, as scanners do."""

import highdicom
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pydicom.valuerep import DSfloat

_STORAGE = {"CT": CTImageStorage, "MR": MRImageStorage}


def _ds(values):
    return [DSfloat(float(value), auto_format=True) for value in values]


def slice_dataset(pixels, position, geometry, *, modality="CT", slope=1, intercept=0):
    """One slice, ``pixels`` (columns, rows)."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = _STORAGE[modality]
    uid = generate_uid()
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
    dataset.Modality = modality
    dataset.Columns, dataset.Rows = pixels.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.RescaleSlope, dataset.RescaleIntercept = _ds([slope])[0], _ds([intercept])[0]
    i, j, k = geometry.spacing
    dataset.PixelSpacing, dataset.SliceThickness = _ds([j, i]), _ds([k])[0]
    dataset.ImageOrientationPatient = _ds(geometry.direction[:, :2].T.ravel())
    dataset.ImagePositionPatient = _ds(position)
    dataset.PixelData = pixels.T.astype("<i2").tobytes()
    return dataset


def series_datasets(array, geometry, *, positions=None, **options):
    """One dataset per slice of an array (I, J, K), with what a whole study needs to share."""
    slopes = options.pop("slopes", [1] * geometry.shape[2])
    shared = {
        "SeriesInstanceUID": options.pop("series", generate_uid()),
        "StudyInstanceUID": generate_uid(),
        "FrameOfReferenceUID": generate_uid(),
        "SeriesDescription": options.pop("description", "abdomen"),
        "PatientID": "p1",
        "PatientName": "A^B",
        "PatientBirthDate": "",
        "PatientSex": "O",
        "AccessionNumber": "",
        "StudyID": "1",
        "StudyDate": "20200101",
        "StudyTime": "120000",
        "SeriesNumber": 1,
        "ReferringPhysicianName": "",
        "Manufacturer": "none",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    }
    datasets = []
    for k in range(geometry.shape[2]):
        position = geometry.to_world([0, 0, k]) if positions is None else positions[k]
        dataset = slice_dataset(array[:, :, k], position, geometry, slope=slopes[k], **options)
        for keyword, value in shared.items():
            setattr(dataset, keyword, value)
        dataset.InstanceNumber = k + 1
        datasets.append(dataset)
    return datasets


def enhanced(datasets):
    """The slices as one multi-frame object, last slice first."""
    for dataset in datasets:
        dataset.AcquisitionNumber, dataset.BodyPartExamined = 1, "ABDOMEN"
        dataset.ContentDate, dataset.ContentTime = "20200101", "120000"
        dataset.KVP = 120
    return highdicom.legacy.LegacyConvertedEnhancedCTImage(
        datasets[::-1], generate_uid(), 1, generate_uid(), 1
    )


def write_series(folder, array, geometry, *, seed=0, **options):
    """Write the slices under shuffled names and instance numbers; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    datasets = series_datasets(array, geometry, **options)
    paths = []
    for number, n in enumerate(np.random.default_rng(seed).permutation(len(datasets))):
        datasets[n].InstanceNumber = number + 1
        path = folder / f"{datasets[n].SeriesInstanceUID[-6:]}-{number:03d}.dcm"
        datasets[n].save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths
