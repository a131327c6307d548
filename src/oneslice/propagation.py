"""Strategies: how memories flow over the slices of the query."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from oneslice.choices import Strategy
from oneslice.encoded import EncodedFrames
from oneslice.fusion import Blend
from oneslice.matching import start_slice
from oneslice.prompting import Match, Prompt, Prompter
from oneslice.quality import confidence
from oneslice.sam2.engine import Engine
from oneslice.sam2.state import Memory, Prediction, Remembered

_REACH = 2  # slices to either side whose memories a slice is segmented with


@dataclass(frozen=True)
class SlicePrediction:
    """The masks of all K structures on one slice.

    Args:
        index: of the slice.
        logits: (K, h, w), the network's and the registered masks' together, of the slice's frame;
            of the slice itself, once it is restored or if it was followed.
        certainty: (K,) in [0, 1], how far the masks can be trusted.
        match: which supports spoke for the slice.
        agreement: (K,), 0 to 1, of masks that were come by in different ways; None without
            registration.
    """

    index: int
    logits: Tensor
    certainty: Tensor
    match: Match
    agreement: Tensor | None = None


@dataclass
class Case:
    """A query scan and everything that its propagation needs.

    Args:
        engine: the SAM 2 engine.
        queries: the query's N slices.
        prompter: makes the prompts.
        blend: how the network's masks and the registered ones become one.
        known: masks (K, S, S) of the slices whose labels are given.
        trimmed: whether structures are cleared beyond their ends later.
    """

    engine: Engine
    queries: EncodedFrames
    prompter: Prompter
    blend: Blend
    known: Mapping[int, Tensor] = field(default_factory=dict)
    trimmed: bool = False

    def segment(
        self, index: int, prompt: Prompt, others: Sequence[Remembered], frames: int
    ) -> SlicePrediction:
        """Segment a slice from its prompt and other slices, in a video of ``frames``."""
        return self.blended(index, prompt, self.predict(index, prompt, others, frames))

    def predict(
        self, index: int, prompt: Prompt, others: Sequence[Remembered], frames: int
    ) -> Prediction:
        """What the network says of a slice."""
        farthest = max((other.distance for other in others), default=0)
        context = [Remembered(prompt.memory, farthest + 1, prompted=True), *others]
        pairs = [0] * len(prompt.memory.pointer)
        return self.engine.segment(self.queries.features([index]), pairs, context, frames)

    def blended(
        self, index: int, prompt: Prompt, prediction: Prediction, before: Tensor | None = None
    ) -> SlicePrediction:
        """What the network says, together with what else is known.

        Args:
            index: of the slice.
            prompt: of the slice.
            prediction: the network's.
            before: (K,), the agreement of an earlier pass; the mean of both counts.
        """
        logits, agreement = self.blend(prediction, prompt.carried, prompt.evidence)
        if agreement is not None and before is not None:
            agreement = (agreement + before) / 2
        certainty = confidence(prediction, (logits > 0).flatten(1).any(1), agreement)
        return SlicePrediction(index, logits, certainty, self.prompter.match(index), agreement)

    def remember_known(self, index: int) -> Memory:
        """The memory of a slice whose labels are given."""
        return self.remember_masks(index, self.known[index])

    def remember_masks(self, index: int, masks: Tensor) -> Memory:
        """The memory of a slice with masks (K, S, S)."""
        return self.engine.remember(self.queries.features([index] * len(masks)), masks)

    def remember(self, index: int, prediction: Prediction) -> Memory:
        """The memory of a slice as the network segmented it."""
        features = self.queries.features([index] * len(prediction.score))
        return self.engine.remember_prediction(features, prediction)


def propagate(case: Case, strategy: Strategy) -> Iterator[SlicePrediction]:
    """Segment every slice that is not known, in the strategy's order."""
    match strategy:
        case Strategy.PAIRWISE:
            return pairwise(case)
        case Strategy.SEQUENCE:
            return sequence(case)
        case Strategy.NEIGHBOURS:
            return neighbours(case)


def pairwise(case: Case) -> Iterator[SlicePrediction]:
    """Two-frame videos [matched support, slice], without memory between slices.

    arXiv 2503.04826, section 3.4.
    """
    for index in range(len(case.queries)):
        if index not in case.known:
            yield case.segment(index, case.prompter.prompt(index), [], 2)


def sequence(case: Case) -> Iterator[SlicePrediction]:
    """The volume as a video, outward in both directions from the best-matched slice.

    Each slice sees its matched support and the memories of up to ``num_maskmem - 1`` slices that
    came before it on its way.
    """
    count = len(case.queries)
    unknown = [index for index in range(count) if index not in case.known]
    if not unknown:
        return
    start = unknown[start_slice([case.prompter.match(index).distance for index in unknown])]
    first: Memory | None = None
    for order in (range(start, count), range(start - 1, -1, -1)):
        past: deque[Memory] = deque(maxlen=case.engine.max_distance)
        if first is not None:
            past.append(first)
        for index in order:
            if index in case.known:
                memory = case.remember_known(index)
            else:
                others = [Remembered(m, d, prompted=False) for d, m in enumerate(past, 1)]
                prompt = case.prompter.prompt(index)
                prediction = case.predict(index, prompt, others, len(past) + 2)
                yield case.blended(index, prompt, prediction)
                memory = case.remember(index, prediction)
            past.appendleft(memory)
            first = memory if index == start else first


def neighbours(case: Case) -> Iterator[SlicePrediction]:
    """Each slice twice: alone, then beside what was found alone on its neighbours.

    The first pass stays just ahead of the second, so that few memories are held at a time. The
    agreement is the mean of both: beside its neighbours the network tends to agree beyond a
    structure's ends too. What it calls absent is not remembered, but shown where registration
    alone puts it if whether it is there is decided later, for the scan as a whole.
    """
    beside = replace(case, blend=replace(case.blend, veto=not case.trimmed))
    count, reach = len(case.queries), min(_REACH, case.engine.max_distance)
    prompts: dict[int, Prompt] = {}
    agreements: dict[int, Tensor | None] = {}
    memories: dict[int, Memory] = {}
    for ahead in range(count + reach):
        if ahead in case.known:
            memories[ahead] = case.remember_known(ahead)
        elif ahead < count:
            prompts[ahead] = case.prompter.prompt(ahead)
            alone = case.segment(ahead, prompts[ahead], [], 2)
            agreements[ahead], memories[ahead] = alone.agreement, _remember(case, alone)
        index = ahead - reach
        if index in prompts:
            others = [
                Remembered(memory, abs(n - index), prompted=False)
                for n, memory in sorted(memories.items())
                if n != index
            ]
            prompt = prompts.pop(index)
            prediction = case.predict(index, prompt, others, 2 * reach + 2)
            yield beside.blended(index, prompt, prediction, agreements.pop(index))
        memories.pop(index - reach, None)


def _remember(case: Case, found: SlicePrediction) -> Memory:
    """The memory of a slice with all masks as they were blended."""
    size = (case.engine.image_size,) * 2
    whole = F.interpolate(found.logits[None], size, mode="bilinear", align_corners=False)[0]
    return case.remember_masks(found.index, torch.gt(whole, 0).float())
