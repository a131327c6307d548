"""Labelled slices registered onto the slices of a query scan, their masks carried along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from oneslice.appearance import SIDE, Appearance
from oneslice.clock import Stopwatch
from oneslice.encoded import EncodedFrames
from oneslice.matching import Matcher
from oneslice.ordering import between, heard, weigh
from oneslice.pool import SupportPool
from oneslice.prompting import Match, Prompt, Prompter
from oneslice.registration import Described, refine, register
from oneslice.sam2.engine import Engine
from oneslice.transform import Transform, warp
from oneslice.voting import vote

_CANDIDATES = 12  # labelled slices that may speak for a structure, the most alike first
_STRIDE = 4  # of the slices onto which they are all registered
_PREDICTED = 0.015  # what a slice whose labels were predicted costs more than a given one


@dataclass(frozen=True)
class _Registered:
    """What was registered onto one query slice.

    Args:
        pairs: (M, 2) of entry and structure.
        whole: the transform of each pair's entry.
        local: how each pair's structure departs from it.
        misfit: (M, n, n), how badly each pair fits at each place.
        costs: (P, K) for all entries; infinite for pairs that were not registered.
    """

    pairs: Tensor
    whole: Transform
    local: Transform
    misfit: Tensor
    costs: Tensor

    def heard(self, weights: Tensor) -> _Registered:
        """The pairs that have a say, given weights (P, K)."""
        kept = heard(weights)[self.pairs[:, 0], self.pairs[:, 1]]
        whole, local = self.whole.select(kept), self.local.select(kept)
        return _Registered(self.pairs[kept], whole, local, self.misfit[kept], self.costs)

    def of(self, entries: Tensor, originals: Tensor) -> Transform:
        """The transforms of entries (B,), each the first that is of its slice (P,)."""
        return self.whole.select((originals[self.pairs[:, 0]] == entries[:, None]).int().argmax(1))


class CarryingPrompter(Prompter):
    """Prompts by the entries registered onto the slice.

    Every labelled slice has its say on the masks that are carried over (``ordering``); the one with
    the most prompts the network.

    Args:
        engine: the SAM 2 engine.
        pool: the labelled slices.
        matcher: chooses which of them are registered, if there are many.
        queries: the slices of the scan.
        clock: adds up the seconds of each stage.
    """

    def __init__(
        self,
        engine: Engine,
        pool: SupportPool,
        matcher: Matcher,
        queries: EncodedFrames,
        clock: Stopwatch,
    ) -> None:
        self._engine = engine
        self._pool = pool
        self._matcher = matcher
        self._queries = queries
        self._clock = clock
        self._eligible = pool.eligible()
        self._originals = pool.originals()  # several entries may be of one slice
        self._supports = Described.of(torch.stack([pool[entry] for entry in range(len(pool))]))
        self._slices: dict[int, _Registered] = {}
        self._weights: dict[int, Tensor] = {}  # (P, K) for each slice
        self._appearance = Appearance(self._eligible.shape[1])

    def prepare(self, slices: Sequence[int], tick: Callable[[], None]) -> None:
        """Register the labelled slices onto each slice, then weigh them over the whole scan.

        All are tried on some slices; between two of these, those that have a say on either, and
        those that lie between them in the order of their scan. The masks carried over then tell
        what the structures look like in the query.
        """
        some = sorted({*slices[::_STRIDE], *slices[-1:]})
        for index in some:
            self._slices[index] = self._register(index, self._candidates(index))
            tick()
        speaking = {index: heard(weights) for index, weights in self._weigh().items()}
        scans = self._pool.scans()
        for before, after in pairwise(some):
            for index in slices[slices.index(before) + 1 : slices.index(after)]:
                either = speaking[before] | speaking[after]
                wanted = either | between(either, scans) & self._candidates(index)
                self._slices[index] = self._register(index, wanted)
                tick()
        self._weights = self._weigh()
        with self._clock.stage("appearance"):
            for index in self._slices:
                self._appearance.see(self._queries.image(index), self._carry(index, SIDE))

    def _register(self, index: int, wanted: Tensor) -> _Registered:
        """Register the pairs of entry and structure that are true in ``wanted`` (P, K)."""
        pairs = wanted.nonzero()
        entries, place = self._originals[pairs[:, 0]].unique(return_inverse=True)
        given = self._masks(pairs)
        with self._clock.stage("registration"):
            query = Described.of(self._queries.image(index)[None]).select([0] * len(entries))
            supports = self._supports.select(entries)
            found = register(query, supports)
            refined = refine(query, supports, found, place, given)
        costs = torch.full(wanted.shape, torch.inf)
        costs[pairs[:, 0], pairs[:, 1]] = refined.cost
        return _Registered(pairs, found.select(place), refined.local, refined.misfit, costs)

    def _candidates(self, index: int) -> Tensor:
        """(P, K), which entries may speak for which structures."""
        if int(self._eligible.sum(0).max()) <= _CANDIDATES:
            return self._eligible
        with self._clock.stage("matching"):
            distances = self._matcher.distances(self._queries, index)
        nearest = distances.topk(_CANDIDATES, 0, largest=False).indices
        return self._eligible & torch.zeros_like(self._eligible).scatter(0, nearest, True)

    def _weigh(self) -> dict[int, Tensor]:
        """The weights (P, K) of each slice registered so far; each structure's add up to 1."""
        if not self._slices:
            return {}
        slices, scans = sorted(self._slices), self._pool.scans()
        costs = torch.stack([self._slices[index].costs for index in slices])
        costs = costs + _PREDICTED * self._pool.predicted()[:, None]
        weights = torch.zeros_like(costs)
        for structure, shown in enumerate(self._eligible.T):
            weights[:, shown, structure] = weigh(costs[:, shown, structure], scans[shown])
        return dict(zip(slices, weights, strict=True))

    def match(self, index: int) -> Match:
        """The entry with the most say, and what it costs to register it."""
        chosen = self._weights[index].argmax(0)
        return Match(chosen, self._slices[index].costs[chosen, torch.arange(len(chosen))])

    def prompt(self, index: int) -> Prompt:
        """The memory of the chosen entries, warped, and all masks carried over.

        A structure that registration moves out of the frame is prompted where it was.
        """
        registered, chosen = self._slices[index], self.match(index).chosen
        entries, place = self._originals[chosen].unique(return_inverse=True)
        images = torch.stack([self._pool[int(entry)] for entry in entries])
        given = self._masks(torch.stack([chosen, torch.arange(len(chosen))], 1))
        with self._clock.stage("registration"):
            grids = registered.of(entries, self._originals).grid(images.shape[-1])
            warped = warp(images, grids)
            prompts = (warp(given[:, None], grids[place])[:, 0] >= 0.5).float()
            carried = self._carry(index, images.shape[-1])
        inside = prompts.flatten(1).any(1)[:, None, None]
        with self._clock.stage("encoding"):
            features = self._engine.encode(warped)
        memory = self._engine.remember(features.select(place), torch.where(inside, prompts, given))
        return Prompt(memory, carried, self._appearance.evidence(self._queries.image(index)))

    def _carry(self, index: int, side: int) -> Tensor:
        """(K, side, side): the masks carried over, as those that have a say vote."""
        weights = self._weights[index]
        registered = self._slices[index].heard(weights)
        entries, structures = registered.pairs.T
        given = F.adaptive_avg_pool2d(self._masks(registered.pairs)[:, None], side)
        moved = warp(given, registered.whole.after(registered.local, side))[:, 0]
        say = weights[entries, structures]
        return vote(moved, registered.misfit, say, structures, weights.shape[1])

    def _masks(self, pairs: Tensor) -> Tensor:
        """(M, S, S) of pairs (M, 2) of entry and structure."""
        return torch.stack([self._pool.masks(int(entry))[k] for entry, k in pairs])
