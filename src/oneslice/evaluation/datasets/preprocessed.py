"""Image and label pairs that are preprocessed already, in the two forms that circulate.

``<patient>/image.nii.gz`` beside ``<patient>/label.nii.gz`` in one folder per patient, or
``image_<number>.nii.gz`` beside ``label_<number>.nii.gz`` in one folder for all.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np

from oneslice.errors import InputError
from oneslice.evaluation.datasets.base import (
    AS_STORED,
    Case,
    LabelledStack,
    Pair,
    by_number,
    check_values,
    existing,
)
from oneslice.evaluation.datasets.catalogue import Description
from oneslice.formats import read_label_map, read_volume
from oneslice.volume import LabelMap

LOOKED_FOR = (
    "<patient>/image.nii.gz with <patient>/{label}.nii.gz, or "
    "image_<number>.nii.gz with {label}_<number>.nii.gz"
)


def find_preprocessed(root: Path, description: Description, label: str) -> dict[str, Case]:
    """The pairs under ``root`` by patient number; empty if it has another layout.

    Args:
        root: the folder of the data set.
        description: of the data set.
        label: the stem of the label files, where several versions lie beside each other.

    Raises:
        InputError: an image without its labels, a number that the data set does not have, or one
            that two images have.

    """
    return {
        str(number): Case(str(number), files, partial(_read, files, description))
        for number, files in sorted(by_number(_pairs(root, label, description)).items())
    }


def _pairs(root: Path, label: str, description: Description) -> list[tuple[int, Pair]]:
    by_folder = [(_number(p.parent.name), p, _beside) for p in root.glob("*/image.nii.gz")]
    by_name = [(_number(p.name[: -len(".nii.gz")]), p, _named) for p in root.glob("image_*.nii.gz")]
    pairs = []
    for number, image, label_of in by_folder or by_name:
        if number not in description.preprocessed:
            raise InputError(f"{image}: {description.title} has no patient of that number")
        pairs.append((number, (image, existing(image, label_of(image, label)))))
    return pairs


def _beside(image: Path, label: str) -> Path:
    return image.with_name(f"{label}.nii.gz")


def _named(image: Path, label: str) -> Path:
    return image.with_name(image.name.replace("image_", f"{label}_", 1))


def _number(name: str) -> int:
    """The last number in a name, -1 if there is none."""
    found = re.findall(r"\d+", name)
    return int(found[-1]) if found else -1


def _read(files: Pair, description: Description) -> LabelledStack:
    image, label = files
    labels = renumbered(read_label_map(label), description)
    return LabelledStack.of(read_volume(image), labels, AS_STORED)


def renumbered(labels: LabelMap, description: Description) -> LabelMap:
    """The labels with the values of the protocol.

    Raises:
        InputError: a value that the data set does not have.

    """
    own = {structure.value for structure in description.structures}
    known = own | description.ignored | set(description.values)
    labels = check_values(labels, frozenset(known))
    array = labels.array
    for stored, value in description.values.items():
        array = np.where(labels.array == stored, value, array)
    return LabelMap(array, labels.geometry, name=labels.name)
