"""The result: a label map, how sure each slice is, and how it came about."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from oneslice.formats import atomic_path, describe_structures, sidecar_path, write_label_map
from oneslice.formats.suffixes import output_format
from oneslice.geometry import Array, Geometry
from oneslice.volume import LabelMap, Structure


@dataclass(frozen=True)
class Doubt:
    """A slice that a person should look at.

    Args:
        slice: its position along the slice axis, in the file's order, from 0.
        structure: what is doubtful there.
        confidence: 0 to 1.
    """

    slice: int
    structure: Structure
    confidence: float

    def __str__(self) -> str:
        return f"{self.structure.name} on slice {self.slice} ({self.confidence:.2f})"


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The labels of one scan.

    Args:
        labels: on the scan's own grid.
        confidence: (N, K) in [0, 1] for each slice along the slice axis, in the file's order, and
            each structure; 1 where its labels were given, and that of the nearest slice that was
            looked at where they were interpolated.
        slice_axis: the array axis along which slices were counted.
        record: what a person needs to repeat or to question the result, ready for JSON.
    """

    labels: LabelMap
    confidence: Array
    slice_axis: int
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def array(self) -> Array:
        """(I, J, K) label values, 0 for background."""
        return self.labels.array

    @property
    def geometry(self) -> Geometry:
        """The scan's grid."""
        return self.labels.geometry

    @property
    def structures(self) -> tuple[Structure, ...]:
        """The structures that may occur."""
        return self.labels.structures

    @property
    def doubts(self) -> list[Doubt]:
        """Of each structure the slice that shows it with the least confidence, the worst first."""
        slices = np.moveaxis(self.array, self.slice_axis, 0)
        found = []
        for structure, confidence in zip(self.structures, self.confidence.T, strict=True):
            shown = np.flatnonzero((slices == structure.value).any((1, 2)))
            if len(shown):
                worst = int(shown[confidence[shown].argmin()])
                found.append(Doubt(worst, structure, float(confidence[worst])))
        return sorted(found, key=lambda doubt: doubt.confidence)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the label map (the suffix chooses the format) and a JSON file beside it.

        Raises:
            InputError: another suffix, the file exists, or it cannot be written.
        """
        output_format(Path(path))
        content = {"structures": describe_structures(self.structures)} | self.record
        text = json.dumps(content, indent=1) + "\n"
        with atomic_path(sidecar_path(Path(path)), overwrite) as sidecar:
            sidecar.write_text(text, encoding="utf-8")
            return write_label_map(self.labels, path, overwrite=overwrite)
