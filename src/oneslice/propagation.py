"""Strategies: how memories flow over the slices of the query."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from torch import Tensor

from oneslice.clock import Stopwatch
from oneslice.encoded import EncodedFrames
from oneslice.matching import Matcher, start_slice
from oneslice.prompting import Prompter
from oneslice.sam2.engine import Engine
from oneslice.sam2.state import Memory, Prediction, Remembered


class Strategy(StrEnum):
    """PAIRWISE: each slice sees its support alone (the paper). SEQUENCE: and its neighbours."""

    PAIRWISE = "pairwise"
    SEQUENCE = "sequence"


@dataclass(frozen=True)
class SlicePrediction:
    """The masks of all K structures on one slice.

    Args:
        index: of the slice.
        prediction: the network's.
        carried: (K, S, S) in [0, 1], the supports' masks registered onto the slice, if they were.
    """

    index: int
    prediction: Prediction
    carried: Tensor | None = None


@dataclass
class Case:
    """A query scan and everything that its propagation needs.

    Args:
        engine: the SAM 2 engine.
        queries: the query's N slices.
        matcher: assigns an augmented support to each slice and structure.
        prompter: makes the prompts from the matched supports.
        clock: adds up the seconds of each stage.
        known: masks (K, S, S) of the slices whose labels are given.
    """

    engine: Engine
    queries: EncodedFrames
    matcher: Matcher
    prompter: Prompter
    clock: Stopwatch
    known: Mapping[int, Tensor] = field(default_factory=dict)
    matches: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def match(self, index: int) -> tuple[Tensor, Tensor]:
        """The matched support (K,) and its distance (K,) for each structure on a slice."""
        if index not in self.matches:
            with self.clock.stage("matching"):
                self.matches[index] = self.matcher.match(self.queries, index)
        return self.matches[index]

    def segment(self, index: int, past: list[Memory]) -> SlicePrediction:
        """Segment a slice from its matched support and the slices before it, nearest first."""
        prompt = self.prompter.prompt(self.queries.image(index), self.match(index)[0], self.clock)
        context = [Remembered(prompt.memory, len(past) + 1, prompted=True)]
        context += [Remembered(m, d, prompted=False) for d, m in enumerate(past, 1)]
        pairs = [0] * len(prompt.memory.pointer)
        features = self.queries.features([index])
        prediction = self.engine.segment(features, pairs, context, frames=len(past) + 2)
        return SlicePrediction(index, prediction, prompt.carried)

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
            yield case.segment(index, [])


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
                result = case.segment(index, list(past))
                yield result
                memory = case.remember(result)
            past.appendleft(memory)
            first = memory if index == start else first
