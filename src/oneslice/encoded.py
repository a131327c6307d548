"""Frames that are encoded when asked for, once, within a memory budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from oneslice.clock import Stopwatch
from oneslice.sam2.engine import Engine
from oneslice.sam2.state import Features


class Images(Protocol):
    """Images (C, S, S) by number, held or made when asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Tensor: ...


class EncodedFrames:
    """Images (C, S, S) of one scan or one support pool, with their encoder features.

    The first ones stay, as many as the budget allows, and so do the last ones asked for; others
    are encoded again if they are needed again. So memory does not grow with the number of images,
    and of a scan gone through twice in order only what lies beyond the budget is encoded twice;
    dropping what was used longest ago would drop each slice just before its turn.

    Args:
        engine: encodes them.
        images: may compute them when asked for.
        budget: bytes of features that are kept.
        clock: adds up the seconds of encoding.
    """

    def __init__(self, engine: Engine, images: Images, budget: int, clock: Stopwatch) -> None:
        self._engine = engine
        self._images = images
        self._budget = budget
        self._clock = clock
        self._cache: dict[int, Features] = {}
        self.encoded = 0  # encoder passes so far

    def __len__(self) -> int:
        return len(self._images)

    def image(self, index: int) -> Tensor:
        """One image (C, S, S) in [0, 1]."""
        return self._images[index]

    def features(self, indices: Sequence[int]) -> Features:
        """The features of these images, in this order."""
        missing = [i for i in dict.fromkeys(indices) if i not in self._cache]
        if missing:
            self._cache |= self._encode(missing)
        found = [self._cache[i] for i in indices]
        for i in list(self._cache)[self._budget // found[0].nbytes :]:
            if i not in indices:
                del self._cache[i]
        return Features.stack(found)

    def _encode(self, indices: Sequence[int]) -> dict[int, Features]:
        self.encoded += len(indices)
        with self._clock.stage("encoding"):
            features = self._engine.encode(torch.stack([self._images[i] for i in indices]))
        return {i: features.select([n]) for n, i in enumerate(indices)}
