"""What prompts the slices of a query scan: memories of the supports that were matched to them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from oneslice.clock import Stopwatch
from oneslice.encoded import EncodedFrames
from oneslice.matching import Matcher
from oneslice.pool import SupportPool
from oneslice.sam2.engine import Engine
from oneslice.sam2.state import Memory


@dataclass(frozen=True)
class Match:
    """What speaks for the K structures on one slice.

    Args:
        chosen: (K,), entries of the pool, or the scan's own labelled slices where it is followed.
        distance: (K,), how unlike the slice they are; smaller is better.
    """

    chosen: Tensor
    distance: Tensor


@dataclass(frozen=True)
class Prompt:
    """What is known of K structures before a slice is segmented.

    Args:
        memory: of each structure on its support.
        carried: (K, S, S) in [0, 1], the supports' masks where registration puts them on the
            slice; None without registration.
        evidence: (K, n, n), what the slice's intensities say for each structure (log odds); None
            without registration.
    """

    memory: Memory
    carried: Tensor | None = None
    evidence: Tensor | None = None


class Prompter(ABC):
    """Makes the prompts for the slices of one query scan."""

    def prepare(self, slices: Sequence[int], tick: Callable[[], None]) -> None:
        """Do what concerns all ``slices`` at once; ``tick`` is called for each of them."""
        for _ in slices:
            tick()

    @abstractmethod
    def match(self, index: int) -> Match:
        """What was matched to a slice."""

    @abstractmethod
    def prompt(self, index: int) -> Prompt:
        """The prompt for a slice."""


class PoolMemories:
    """The memories of a pool's entries, made when they are first asked for.

    Args:
        limit: how many are kept; beyond it the oldest is dropped.
    """

    def __init__(
        self, engine: Engine, pool: SupportPool, encoded: EncodedFrames, limit: int = 1024
    ) -> None:
        self._engine = engine
        self._pool = pool
        self._encoded = encoded
        self._limit = limit
        self._memories: OrderedDict[tuple[int, int], Memory] = OrderedDict()

    def recall(self, chosen: Tensor) -> Memory:
        """The memory of each structure k in the entry ``chosen[k]``."""
        keys = [(int(entry), structure) for structure, entry in enumerate(chosen)]
        self._remember([key for key in keys if key not in self._memories])
        recalled = Memory.stack([self._memories[key] for key in keys])
        for key in keys:
            self._memories.move_to_end(key)
        while len(self._memories) > max(self._limit, len(keys)):
            self._memories.popitem(last=False)
        return recalled

    def _remember(self, missing: list[tuple[int, int]]) -> None:
        for entry in dict.fromkeys(entry for entry, _ in missing):
            structures = [structure for e, structure in missing if e == entry]
            features = self._encoded.features([entry] * len(structures))
            memory = self._engine.remember(features, self._pool.masks(entry)[structures])
            for number, structure in enumerate(structures):
                self._memories[entry, structure] = memory.select([number])


class PoolPrompter(Prompter):
    """Prompts by the most alike entries of the pool, as they are (arXiv 2503.04826).

    Args:
        memories: of the pool.
        matcher: compares the pool with the scan's slices.
        queries: the N slices of the scan.
        structures: K, how many there are.
        clock: adds up the seconds of each stage.
    """

    def __init__(
        self,
        memories: PoolMemories,
        matcher: Matcher,
        queries: EncodedFrames,
        structures: int,
        clock: Stopwatch,
    ) -> None:
        self._memories = memories
        self._matcher = matcher
        self._queries = queries
        self._clock = clock
        # one block each: a small tensor for every slice would fragment the memory of long scans
        self._matched = torch.zeros(len(queries), dtype=torch.bool)
        self._chosen = torch.zeros(len(queries), structures, dtype=torch.long)
        self._distance = torch.zeros(len(queries), structures)

    def match(self, index: int) -> Match:
        """The entry that is most alike, for each structure."""
        if not self._matched[index]:
            with self._clock.stage("matching"):
                distances = self._matcher.distances(self._queries, index)
                self._distance[index], self._chosen[index] = distances.min(0)
                self._matched[index] = True
        return Match(self._chosen[index], self._distance[index])

    def prompt(self, index: int) -> Prompt:
        """The memories of the matched entries."""
        return Prompt(self._memories.recall(self.match(index).chosen))
