"""The result: a label map, how sure each slice is, and how it came about."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oneslice.errors import InputError
from oneslice.formats import (
    describe_structures,
    sidecar_path,
    write_label_map,
    write_text_atomically,
)
from oneslice.geometry import Array, Geometry
from oneslice.volume import LabelMap, Structure


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The labels of one scan.

    Args:
        labels: on the scan's own grid.
        confidence: (N, K) in [0, 1] for each slice along the slice axis, in the file's order, and
            each structure; 1 on slices whose labels were given.
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

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the label map (the suffix chooses the format) and a JSON file beside it, or none.

        Raises:
            InputError: another suffix, the file exists, or it cannot be written.
        """
        content = {"structures": describe_structures(self.structures)} | self.record
        text = json.dumps(content, indent=1) + "\n"
        sidecar = sidecar_path(Path(path))
        if sidecar.exists() and not overwrite:
            raise InputError(f"{sidecar}: exists already; add --overwrite to replace it")
        target = write_label_map(self.labels, path, overwrite=overwrite)
        try:
            write_text_atomically(sidecar, text, overwrite=overwrite)
        except InputError:
            target.unlink()
            raise
        return target
