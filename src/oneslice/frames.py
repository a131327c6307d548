"""From a volume's slices to the network's square frames, and from its logits back to slices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from oneslice.checks import number
from oneslice.choices import Modality
from oneslice.errors import InputError
from oneslice.geometry import Array, SliceView
from oneslice.volume import Structure, Volume

# Level and width in Hounsfield units, the usual radiology presets.
CT_PRESETS = {
    "soft-tissue": (40.0, 400.0),
    "lung": (-600.0, 1500.0),
    "bone": (400.0, 1800.0),
    "brain": (40.0, 80.0),
    "liver": (60.0, 160.0),
    "mediastinum": (50.0, 350.0),
}
_MR_PERCENTILES = (0.5, 99.5)
_AIR = -500.0  # Hounsfield units below which only a CT reaches
_STRAY = 0.001  # of the voxels; fewer may be what resampling leaves
_STORED_WATER = 1024.0  # what water is in a CT that is stored without negative numbers
_TISSUE, _NOT_AIR = 150.0, -724.0  # Hounsfield units; nearly all soft tissue is within the first
_MOSTLY = 0.6  # of what is not air, in a CT


@dataclass(frozen=True)
class Window:
    """The intensities that become black and white.

    Args:
        low, high: in the scan's intensities.
        hounsfield: whether they are Hounsfield units, which not every CT is stored in.

    Raises:
        InputError: the window is empty, or an end is not finite.
    """

    low: float
    high: float
    hounsfield: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        for end in ("low", "high"):
            value = number(getattr(self, end), f"window LOW,HIGH: {end.upper()}")
            object.__setattr__(self, end, value)
        if not (self.low < self.high and math.isfinite(self.high - self.low)):
            raise InputError(
                f"the window {self.low:g} to {self.high:g} is empty or endless: "
                "give LOW,HIGH with LOW below HIGH"
            )

    @classmethod
    def parse(cls, text: str) -> Window:
        """A CT preset's name, in Hounsfield units, or ``LOW,HIGH`` in the scan's intensities."""
        if text in CT_PRESETS:
            level, width = CT_PRESETS[text]
            return cls(level - width / 2, level + width / 2, hounsfield=True)
        try:
            low, high = (float(part) for part in text.split(","))
        except ValueError:
            presets = ", ".join(CT_PRESETS)
            raise InputError(f"window {text!r}: give LOW,HIGH or one of {presets}") from None
        return cls(low, high)

    @classmethod
    def of(cls, volume: Volume, modality: Modality | None = None) -> Window:
        """Soft tissue for CT, else the percentiles 0.5 and 99.5 of the whole volume."""
        if (modality or modality_of(volume)) is Modality.CT:
            return cls.parse("soft-tissue").stored_in(volume)
        array = volume.array.astype(np.uint8) if volume.array.dtype == bool else volume.array
        low, high = np.percentile(array, _MR_PERCENTILES)
        if low == high:  # a bright spot in an empty volume
            low, high = array.min(), array.max()
        return cls(float(low), float(high))

    def stored_in(self, volume: Volume) -> Window:
        """The same in the intensities of a CT."""
        water = water_of(volume) if self.hounsfield else 0.0
        return Window(self.low + water, self.high + water)

    def apply(self, array: Array) -> Array:
        """Intensities to [0, 1], float32."""
        scaled = (array.astype(np.float32) - self.low) / (self.high - self.low)
        return np.clip(scaled, 0, 1)


def window_of(volume: Volume, window: Window | None, modality: Modality | None) -> Window:
    """The window that a scan is shown in: the given one, else by modality.

    Raises:
        InputError: it shows nothing of the scan.
    """
    if window is None:
        window = Window.of(volume, modality)
    elif (modality or modality_of(volume)) is Modality.CT:
        window = window.stored_in(volume)
    low, high = float(volume.array.min()), float(volume.array.max())
    if high <= window.low or low >= window.high:
        raise InputError(
            f"{volume.name}: the window {window.low:g} to {window.high:g} shows nothing of values "
            f"from {low:g} to {high:g}; choose another --window or --modality"
        )
    return window


def modality_of(volume: Volume) -> Modality:
    """What the file says, else what the intensities look like."""
    if volume.modality:
        return volume.modality
    is_ct = _reaches_below(volume, _AIR) or water_of(volume) != 0
    return Modality.CT if is_ct else Modality.OTHER


def _reaches_below(volume: Volume, value: float) -> bool:
    return float((volume.array < value).mean()) > _STRAY


def water_of(volume: Volume) -> float:
    """What water is in a CT, as far as known; else 1024 if most of what is not air is near that."""
    if volume.water is not None:
        return volume.water
    return _STORED_WATER if _is_shifted(volume) else 0.0


def _is_shifted(volume: Volume) -> bool:
    """Whether this looks like Hounsfield units plus 1024: most of what is not air is near water."""
    if _reaches_below(volume, 0):
        return False
    hounsfield = volume.array[volume.array > _STORED_WATER + _NOT_AIR] - _STORED_WATER
    return bool(len(hounsfield)) and float((np.abs(hounsfield) < _TISSUE).mean()) > _MOSTLY


@dataclass(frozen=True)
class Letterbox:
    """Fits a slice into a square frame with its physical proportions, centred, black around.

    Args:
        rows, columns: pixels of the slice.
        row_mm, column_mm: distance between rows and between columns.
        size: side of the frame in pixels.
    """

    rows: int
    columns: int
    row_mm: float
    column_mm: float
    size: int

    @property
    def scale(self) -> float:
        """Pixels of the frame in a millimetre."""
        return self.size / self.side

    @property
    def side(self) -> float:
        """Millimetres that the frame's side measures."""
        return max(self.rows * self.row_mm, self.columns * self.column_mm)

    @property
    def _inner(self) -> tuple[int, int]:
        height, width = self.rows * self.row_mm, self.columns * self.column_mm
        return max(1, round(height * self.scale)), max(1, round(width * self.scale))

    @property
    def _corner(self) -> tuple[int, int]:
        height, width = self._inner
        return (self.size - height) // 2, (self.size - width) // 2

    def fit(self, x: Tensor) -> Tensor:
        """(C, rows, columns) to (C, S, S), by antialiased bilinear interpolation."""
        height, width = self._inner
        top, left = self._corner
        inner = _interpolate(x, (height, width))
        padding = (left, self.size - width - left, top, self.size - height - top)
        return F.pad(inner, padding)

    def fit_mask(self, masks: Tensor) -> Tensor:
        """Masks (K, rows, columns), 0 or 1, to (K, S, S); one that is not empty stays so."""
        soft = self.fit(masks.float())
        peak = soft.amax((1, 2), keepdim=True)
        return ((soft >= peak.clamp(max=1) * 0.5) & (peak > 0)).float()

    def position(self, place: Array) -> Array:
        """Row and column (2,) of the slice for those of the frame; pixels begin at integers."""
        return (place - self._corner) / self._inner * (self.rows, self.columns)

    def restore(self, logits: Tensor) -> Tensor:
        """Logits (K, s, s) of a frame, at any resolution, to (K, rows, columns) of the slice.

        Where a pixel of the slice is several of the frame, their mean probability counts: in a mean
        of logits the surest outweigh all others, and what is small shrinks.
        """
        height, width = self._inner
        top, left = self._corner
        full = _interpolate(logits, (self.size, self.size))
        inner = full[:, top : top + height, left : left + width]
        fine = _interpolate(inner, (max(height, self.rows), max(width, self.columns)))
        if tuple(fine.shape[-2:]) == (self.rows, self.columns):
            return fine
        return torch.logit(_interpolate(fine.sigmoid(), (self.rows, self.columns)), eps=1e-6)


def _interpolate(x: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(x.shape[-2:]) == size:
        return x
    return F.interpolate(x[None], size=size, mode="bilinear", align_corners=False, antialias=True)[
        0
    ]


class Frames:
    """The slices of a volume as frames (1, S, S) in [0, 1], made when asked for."""

    def __init__(self, volume: Volume, view: SliceView, window: Window, size: int) -> None:
        self._slices = view.to_slices(volume.array)
        self.window = window
        self.slice_mm, row_mm, column_mm = view.spacing(volume.geometry)
        _, rows, columns = self._slices.shape
        self.slice_shape = (rows, columns)
        self.letterbox = Letterbox(rows, columns, row_mm, column_mm, size)

    def __len__(self) -> int:
        return len(self._slices)

    def __getitem__(self, index: int) -> Tensor:
        """The frame of one slice."""
        return self.letterbox.fit(self.slice(index)[None])

    def slice(self, index: int) -> Tensor:
        """One slice (rows, columns) in [0, 1]."""
        return torch.from_numpy(self.window.apply(self._slices[index]))


def structure_masks(labels: Array, structures: Sequence[Structure]) -> Tensor:
    """One mask (K, rows, columns), 0 or 1, for each structure of a slice of labels."""
    return torch.stack([torch.from_numpy(labels == s.value) for s in structures]).float()
