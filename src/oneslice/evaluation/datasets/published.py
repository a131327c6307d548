"""The data sets as their owners publish them, brought to the protocol's grid when read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from oneslice.errors import InputError
from oneslice.evaluation.datasets.base import (
    AS_STORED,
    Case,
    LabelledStack,
    Pair,
    by_number,
    existing,
)
from oneslice.evaluation.datasets.catalogue import DESCRIPTIONS, Benchmark, Description
from oneslice.evaluation.datasets.chaos import read_chaos
from oneslice.evaluation.datasets.preprocessed import renumbered
from oneslice.evaluation.datasets.preprocessing import preprocess_ct, preprocess_mr
from oneslice.formats.itk import simple_itk
from oneslice.geometry import Geometry
from oneslice.volume import LabelMap, Volume

_CHAOS_SPACING = (1.25, 1.25, 7.7)
_CMR_SPACING = (1.25, 1.25, 7.99)
_Found = list[tuple[int, Pair]]

LOOKED_FOR = {
    Benchmark.CHAOS_MRI: "MR/<number>/T2SPIR/DICOM_anon/*.dcm with MR/<number>/T2SPIR/Ground/*.png "
    "(CHAOS_Train_Sets as published)",
    Benchmark.SYNAPSE_CT: "img/img<number>.nii.gz with label/label<number>.nii.gz "
    "(RawData/Training as published)",
    Benchmark.CMR: "patient<number>_C0.nii.gz with patient<number>_C0_manual.nii.gz "
    "(MS-CMRSeg as published)",
}


def find_published(root: Path, benchmark: Benchmark) -> dict[str, Case]:
    """The scans under ``root`` by patient number; empty if it has another layout.

    Raises:
        InputError: a scan without its labels, or two of one number.

    """
    find, read = _LAYOUTS[benchmark]
    return {
        str(number): Case(str(number), files, partial(read, str(number), files))
        for number, files in sorted(by_number(find(root, DESCRIPTIONS[benchmark])).items())
    }


def _find_chaos(root: Path, description: Description) -> _Found:
    pairs = []
    for series in root.rglob("T2SPIR"):
        if not series.parent.name.isdecimal() or int(series.parent.name) not in (
            description.published
        ):
            continue
        pair = series / "DICOM_anon", series / "Ground"
        if not pair[0].is_dir():
            raise InputError(f"{series}: has no DICOM_anon folder with the slices")
        if not pair[1].is_dir():
            raise InputError(
                f"{series}: has no Ground folder with the labels; take the training part of CHAOS"
            )
        pairs.append((int(series.parent.name), pair))
    return pairs


def _find_synapse(root: Path, description: Description) -> _Found:
    pairs = []
    for image in root.rglob("img[0-9][0-9][0-9][0-9].nii.gz"):
        number = int(image.name[3:7])
        label = image.parent.parent / "label" / image.name.replace("img", "label", 1)
        if number in description.published:
            pairs.append((number, (image, existing(image, label))))
    return pairs


def _find_cmr(root: Path, description: Description) -> _Found:
    labels = {path.name: path for path in root.rglob("patient*_C0_manual.nii.gz")}
    pairs = []
    for image in root.rglob("patient*_C0.nii.gz"):
        number = image.name[len("patient") : -len("_C0.nii.gz")]
        name = f"patient{number}_C0_manual.nii.gz"
        if number.isdecimal() and int(number) in description.published:
            label = existing(image, labels.get(name, image.with_name(name)))
            pairs.append((int(number), (image, label)))
    return pairs


def _read_chaos(name: str, files: Pair) -> LabelledStack:
    image, labels = preprocess_mr(*read_chaos(*files), _CHAOS_SPACING)
    return _stack(image, labels, name, DESCRIPTIONS[Benchmark.CHAOS_MRI])


def _read_synapse(name: str, files: Pair) -> LabelledStack:
    image, labels = preprocess_ct(*_read_images(files))
    return _stack(image, labels, name, DESCRIPTIONS[Benchmark.SYNAPSE_CT])


def _read_cmr(name: str, files: Pair) -> LabelledStack:
    image, labels = preprocess_mr(*_read_images(files), _CMR_SPACING)
    return _stack(image, labels, name, DESCRIPTIONS[Benchmark.CMR])


def _read_images(files: Pair) -> tuple[Any, Any]:
    """Both as SimpleITK images, in the file's own pixel type, which the preprocessing keeps."""
    try:
        image, labels = (simple_itk().ReadImage(str(file)) for file in files)
    except RuntimeError as error:
        raise InputError(f"{files[0]}: it or its label map cannot be read: {error}") from error
    if image.GetSize() != labels.GetSize():
        raise InputError(f"{files[0]}: its label map {files[1].name} has another shape")
    return image, labels


def _stack(image: Any, labels: Any, name: str, description: Description) -> LabelledStack:
    sitk = simple_itk()
    array = sitk.GetArrayFromImage(image).T
    direction = np.reshape(image.GetDirection(), (3, 3))
    geometry = Geometry.from_parts(array.shape, image.GetSpacing(), image.GetOrigin(), direction)
    label_map = LabelMap(sitk.GetArrayFromImage(labels).T, geometry, name=f"labels of {name}")
    return LabelledStack.of(
        Volume(array, geometry, name=name), renumbered(label_map, description), AS_STORED
    )


_LAYOUTS: dict[
    Benchmark,
    tuple[Callable[[Path, Description], _Found], Callable[[str, Pair], LabelledStack]],
] = {
    Benchmark.CHAOS_MRI: (_find_chaos, _read_chaos),
    Benchmark.SYNAPSE_CT: (_find_synapse, _read_synapse),
    Benchmark.CMR: (_find_cmr, _read_cmr),
}
