"""What ``sam2-plain`` and ``paper`` share: two-frame videos of a support and a query slice."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oneslice.clock import Stopwatch
from oneslice.encoded import EncodedFrames
from oneslice.evaluation.datasets import Stack
from oneslice.evaluation.methods.base import Method, Request
from oneslice.evaluation.methods.session import EncodedScan, Session
from oneslice.geometry import Array
from oneslice.pool import LabelledSlice, SupportPool
from oneslice.sam2.engine import Engine
from oneslice.sam2.state import Memory, Remembered

_POOL_BUDGET = 2**29  # bytes of features

Choose = Callable[[int, int], int]
"""From (query slice, position of the request) to an entry of the pool."""


@dataclass
class Prompts:
    """The labelled slices that may prompt, with their memories, made when first recalled.

    Args:
        engine: makes them.
        pool: the entries; structure k of their masks belongs to request k.
        encoded: their features.
        size: entries for each labelled slice.
        positions: of the labelled slices in the pool, by slice.
    """

    engine: Engine
    pool: SupportPool
    encoded: EncodedFrames
    size: int
    positions: dict[int, int]

    def __post_init__(self) -> None:
        # all are kept: no more than one for each structure on each slice of a query
        self._memories: dict[tuple[int, int], Memory] = {}

    def entries(self, labelled: int) -> range:
        """The entries that a labelled slice has in the pool, itself first."""
        first = self.positions[labelled] * self.size
        return range(first, first + self.size)

    def recall(self, entry: int, request: int) -> Memory:
        """The memory of one entry with the mask of one request."""
        key = entry, request
        if key not in self._memories:
            mask = self.pool.masks(entry)[request]
            self._memories[key] = self.engine.remember(self.encoded.features([entry]), mask[None])
        return self._memories[key]


class Pairwise(Method):
    """Prompts each query slice by one labelled slice; structures do not compete."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @abstractmethod
    def _prompts(
        self, query: Stack, support: Stack, requests: Sequence[Request]
    ) -> tuple[Prompts, Choose]:
        """The pool for a scan, and what chooses from it."""

    def segment(self, query: Stack, support: Stack, requests: Sequence[Request]) -> list[Array]:
        """Segment slice by slice, all structures of a slice at once."""
        results = [np.zeros(query.slices.shape, bool) for _ in requests]
        prompts, choose = self._prompts(query, support, requests)
        scan = self._session.scan(query)
        wanted = [set(request.slices) for request in requests]
        for z in sorted(set().union(*wanted)):
            numbers = [k for k, slices in enumerate(wanted) if z in slices]
            memory = Memory.stack([prompts.recall(choose(z, k), k) for k in numbers])
            masks = self._masks(scan, z, memory)
            for k, mask in zip(numbers, masks, strict=True):
                results[k][z] = mask
        return results

    def _masks(self, scan: EncodedScan, z: int, memory: Memory) -> Array:
        """(B, H, W) for the B memories on one slice."""
        context = [Remembered(memory, distance=1, prompted=True)]
        pairs = [0] * len(memory.pointer)
        prediction = self._session.engine.segment(scan.encoded.features([z]), pairs, context)
        restored: Array = (scan.frames.letterbox.restore(prediction.logits) > 0).cpu().numpy()
        return restored

    def _pool(
        self,
        support: Stack,
        requests: Sequence[Request],
        make: Callable[[Sequence[LabelledSlice]], tuple[SupportPool, int]],
    ) -> Prompts:
        """The labelled slices of all requests as a pool."""
        labelled = sorted({z for request in requests for z in request.labelled})
        scan = self._session.scan(support)
        slices = [
            LabelledSlice(scan.frames[z], _masks(scan, requests, z), support.volume.name, z)
            for z in labelled
        ]
        pool, size = make(slices)
        encoded = EncodedFrames(self._session.engine, pool, _POOL_BUDGET, Stopwatch())
        positions = {z: n for n, z in enumerate(labelled)}
        return Prompts(self._session.engine, pool, encoded, size, positions)

    def describe(self) -> dict[str, Any]:
        """The checkpoint."""
        return self._session.describe()


def _masks(scan: EncodedScan, requests: Sequence[Request], z: int) -> Tensor:
    """(K, S, S): the mask of each request on a labelled slice, empty where it has none there."""
    empty = np.zeros(requests[0].masks.shape[1:], bool)
    masks = [
        request.masks[request.labelled.index(z)] if z in request.labelled else empty
        for request in requests
    ]
    return scan.frames.letterbox.fit_mask(torch.from_numpy(np.stack(masks)))
