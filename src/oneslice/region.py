"""A part of a scan that is segmented in place of the whole."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from oneslice.frames import modality_of, water_of
from oneslice.geometry import Array, SliceView
from oneslice.support import Support
from oneslice.volume import Volume


@dataclass(frozen=True)
class Region:
    """A part of a scan's array: of all its slices, or some slices.

    Args:
        box: along each array axis.
    """

    box: tuple[slice, slice, slice]

    @classmethod
    def around(cls, volume: Volume, view: SliceView, centre: Array, side: float) -> Region:
        """A square of ``side`` mm; centre: row and column of the slices; less at their edges."""
        box = [slice(None)] * 3
        spacing = view.spacing(volume.geometry)[1:]
        for axis, flip, middle, mm in zip(
            view.axes[1:], view.flips[1:], centre, spacing, strict=True
        ):
            count = volume.geometry.shape[axis]
            first = int(np.clip(round(middle - side / mm / 2), 0, count - 2))
            end = int(np.clip(round(middle + side / mm / 2), first + 2, count))
            box[axis] = slice(count - end, count - first) if flip else slice(first, end)
        return cls((box[0], box[1], box[2]))

    def is_blank(self, volume: Volume) -> bool:
        """Whether the part of a volume has one value throughout."""
        part = volume.array[self.box]
        return bool(part.min() == part.max())

    def cut(self, volume: Volume) -> Volume:
        """The part of a volume, shown as the whole would be: the part alone may not tell a CT."""
        return replace(
            volume,
            array=volume.array[self.box],
            geometry=volume.geometry.part(self.box),
            modality=modality_of(volume),
            water=water_of(volume),
        )

    def cut_support(self, support: Support, image: Volume) -> Support:
        """The part of a support, of whose scan ``image`` is the part."""
        array = support.labels.array[self.box]
        return replace(
            support,
            image=image,
            labels=replace(support.labels, array=array, geometry=image.geometry),
        )

    def describe(self) -> list[list[int | None]]:
        """First and end along each array axis, for the record; null where it is whole."""
        return [[along.start, along.stop] for along in self.box]

    def paste(self, labels: Array, shape: tuple[int, ...]) -> Array:
        """Labels of the part in an array of the whole, 0 elsewhere."""
        whole = np.zeros(shape, labels.dtype)
        whole[self.box] = labels
        return whole
