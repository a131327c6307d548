"""Frames that are encoded when asked for, once, within a memory budget."""

from __future__ import annotations

from collections import OrderedDict
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

    The features used longest ago are dropped beyond the budget and encoded again if they are
    needed again, so memory does not grow with the number of images.

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
        self._cache: OrderedDict[int, Features] = OrderedDict()
        self.encoded = 0  # encoder passes so far

    def __len__(self) -> int:
        return len(self._images)

    def image(self, index: int) -> Tensor:
        """One image (C, S, S) in [0, 1]."""
        return self._images[index]

    def features(self, indices: Sequence[int]) -> Features:
        """The features of these images, in this order."""
        missing = [i for i in dict.fromkeys(indices) if i not in self._cache]
        fresh = self._encode(missing) if missing else {}
        found = fresh | {i: self._cache[i] for i in indices if i in self._cache}
        for i in indices:
            self._cache[i] = found[i]
            self._cache.move_to_end(i)
        self._shrink()
        return Features.stack([found[i] for i in indices])

    def _encode(self, indices: Sequence[int]) -> dict[int, Features]:
        self.encoded += len(indices)
        with self._clock.stage("encoding"):
            features = self._engine.encode(torch.stack([self._images[i] for i in indices]))
        return {i: features.select([n]) for n, i in enumerate(indices)}

    def _shrink(self) -> None:
        each = next(iter(self._cache.values())).nbytes
        while len(self._cache) > max(1, self._budget // each):
            self._cache.popitem(last=False)
