"""Strategies: how memories flow over the slices of the query."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from torch import Tensor

from oneslice.clock import Stopwatch
from oneslice.encoded import EncodedFrames
from oneslice.matching import Matcher, start_slice
from oneslice.pool import SupportPool
from oneslice.sam2.engine import Engine
from oneslice.sam2.state import Memory, Prediction, Remembered


class Strategy(StrEnum):
    """PAIRWISE: each slice sees its support alone (the paper). SEQUENCE: and its neighbours."""

    PAIRWISE = "pairwise"
    SEQUENCE = "sequence"


@dataclass(frozen=True)
class SlicePrediction:
    """The masks of all K structures on slice ``index`` of the query."""

    index: int
    prediction: Prediction


class MemoryBank:
    """Memories of (augmented support, structure) pairs, each made at its first match.

    Args:
        limit: how many memories are kept; beyond it the oldest is dropped.
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
        """The memory of each structure k in the support ``chosen[k]`` (K,)."""
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


@dataclass
class Case:
    """A query scan and everything that its propagation needs.

    Args:
        engine: the SAM 2 engine.
        queries: the query's N slices.
        matcher: assigns an augmented support to each slice and structure.
        bank: the memories of augmented supports.
        clock: adds up the seconds of each stage.
        known: masks (K, S, S) of the slices whose labels are given.
    """

    engine: Engine
    queries: EncodedFrames
    matcher: Matcher
    bank: MemoryBank
    clock: Stopwatch
    known: Mapping[int, Tensor] = field(default_factory=dict)
    matches: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def match(self, index: int) -> tuple[Tensor, Tensor]:
        """The matched support (K,) and its distance (K,) for each structure on a slice."""
        if index not in self.matches:
            with self.clock.stage("matching"):
                self.matches[index] = self.matcher.match(self.queries, index)
        return self.matches[index]

    def segment(self, index: int, past: list[Memory]) -> Prediction:
        """Segment a slice from its matched support and the slices before it, nearest first."""
        memory = self.bank.recall(self.match(index)[0])
        context = [Remembered(memory, len(past) + 1, prompted=True)]
        context += [Remembered(m, d, prompted=False) for d, m in enumerate(past, 1)]
        structures = len(memory.pointer)
        features = self.queries.features([index])
        return self.engine.segment(features, [0] * structures, context, frames=len(past) + 2)

    def remember_known(self, index: int) -> Memory:
        """The memory of a slice whose labels are given."""
        masks = self.known[index]
        return self.engine.remember(self.queries.features([index] * len(masks)), masks)

    def remember(self, result: SlicePrediction) -> Memory:
        """The memory of a slice that was segmented."""
        structures = len(result.prediction.score)
        features = self.queries.features([result.index] * structures)
        return self.engine.remember_prediction(features, result.prediction)


def propagate(case: Case, strategy: Strategy) -> Iterator[SlicePrediction]:
    """Segment every slice that is not known, in the strategy's order."""
    return pairwise(case) if strategy is Strategy.PAIRWISE else sequence(case)


def pairwise(case: Case) -> Iterator[SlicePrediction]:
    """Two-frame videos [matched support, slice], without memory between slices.

    arXiv 2503.04826, section 3.4.
    """
    for index in range(len(case.queries)):
        if index not in case.known:
            yield SlicePrediction(index, case.segment(index, []))


def sequence(case: Case) -> Iterator[SlicePrediction]:
    """The volume as a video, outward in both directions from the best-matched slice.

    Each slice sees its matched support and the memories of up to ``num_maskmem - 1`` slices that
    came before it on its way.
    """
    count = len(case.queries)
    start = start_slice([case.match(index)[1] for index in range(count)])
    first: Memory | None = None
    for order in (range(start, count), range(start - 1, -1, -1)):
        past: deque[Memory] = deque(maxlen=case.engine.max_distance)
        if first is not None:
            past.append(first)
        for index in order:
            if index in case.known:
                memory = case.remember_known(index)
            else:
                result = SlicePrediction(index, case.segment(index, list(past)))
                yield result
                memory = case.remember(result)
            past.appendleft(memory)
            first = memory if index == start else first
