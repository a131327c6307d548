"""The pool of augmented supports that query slices are matched to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oneslice.augment import (
    AugmentationParameters,
    AugmentationPolicy,
    augment,
    draw,
    move_masks,
)
from oneslice.frames import structure_masks
from oneslice.geometry import Array
from oneslice.settings import Settings
from oneslice.support import Support
from oneslice.volume import Structure


@dataclass(frozen=True)
class LabelledSlice:
    """One support slice on the network's grid.

    Args:
        image: (1, S, S).
        masks: (K, S, S).
        scan: the name of the scan.
        index: of the slice in the scan.
        scan_number: of the scan among those of the supports.
        position: of the slice in the order in which the scan is read.
        predicted: whether its masks were found by a run instead of given by a user.
    """

    image: Tensor
    masks: Tensor
    scan: str
    index: int
    scan_number: int = 0
    position: int = 0
    predicted: bool = False


class SupportPool:
    """Augmented supports, computed when asked for.

    Args:
        slices: the labelled slices.
        size: entries for each of them; the first is the slice itself.
        policy: the strength of the augmentations.
        seed: each labelled slice gets its own augmentations, the same for the same seed.
    """

    def __init__(
        self, slices: Sequence[LabelledSlice], size: int, policy: AugmentationPolicy, seed: int
    ) -> None:
        self._slices = slices
        self._size = size
        self._drawn = [
            draw(size, policy, torch.Generator().manual_seed(seed * 1000 + number))
            for number in range(len(slices))
        ]

    def __len__(self) -> int:
        return len(self._slices) * self._size

    def _entry(self, index: int) -> tuple[LabelledSlice, AugmentationParameters, int]:
        number, copy = divmod(index, self._size)
        return self._slices[number], self._drawn[number].select(torch.tensor([copy])), copy

    def __getitem__(self, index: int) -> Tensor:
        """The image (1, S, S) of one entry."""
        source, parameters, copy = self._entry(index)
        if copy == 0:
            return source.image
        return augment(source.image[None], parameters)[0]

    def masks(self, index: int) -> Tensor:
        """The masks (K, S, S) of one entry."""
        source, parameters, copy = self._entry(index)
        if copy == 0:
            return source.masks
        return move_masks(source.masks[None], parameters)[0]

    def eligible(self) -> Tensor:
        """(P, K): whether entry p shows structure k."""
        return torch.stack([self.masks(index).flatten(1).any(1) for index in range(len(self))])

    def scans(self) -> Tensor:
        """(P,): the number of the scan that entry p comes from."""
        return torch.tensor([self._entry(index)[0].scan_number for index in range(len(self))])

    def originals(self) -> Tensor:
        """(P,): the first entry that comes from the same slice as entry p."""
        first: dict[tuple[int, int], int] = {}
        sources = [self._entry(index)[0] for index in range(len(self))]
        return torch.tensor(
            [first.setdefault((s.scan_number, s.position), n) for n, s in enumerate(sources)]
        )

    def predicted(self) -> Tensor:
        """(P,): whether the masks of entry p were found by a run."""
        return torch.tensor([self._entry(index)[0].predicted for index in range(len(self))])

    def describe(self, index: int) -> dict[str, Any]:
        """Where an entry comes from and how it was augmented."""
        source, parameters, copy = self._entry(index)
        origin: dict[str, Any] = {"scan": source.scan, "slice": source.index}
        if source.predicted:
            origin["predicted"] = True
        return origin | ({"augmentation": parameters.describe(0)} if copy else {})


def labelled_slices(
    support: Support,
    structures: Sequence[Structure],
    directions: Array,
    settings: Settings,
    size: int,
    scan_number: int,
) -> list[LabelledSlice]:
    """The labelled slices of a support, read along ``directions``; ``size``: S."""
    view = support.view_along(directions)
    frames = settings.frames(support.image, view, size)
    labels = view.to_slices(support.labels.array)
    found = []
    for position in np.flatnonzero(labels.any((1, 2))).tolist():
        masks = frames.letterbox.fit_mask(structure_masks(labels[position], structures))
        found.append(
            LabelledSlice(
                frames[position],
                masks,
                support.image.name,
                view.file_index(support.image.geometry, position),
                scan_number,
                position,
                support.predicted,
            )
        )
    return found
