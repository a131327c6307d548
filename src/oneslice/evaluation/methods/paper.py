"""``paper``: augmentative prompting and dynamic matching (arXiv 2503.04826).

Each labelled slice gets N_T augmented copies for each query slice that it supports; a query slice
is prompted by the one that is most alike. Where the protocol assigns a labelled slice, the choice
is among its copies; where the extent is unknown, among those of all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from math import ceil
from typing import Any

from torch import Tensor

from oneslice.augment import AugmentationPolicy
from oneslice.choices import Metric
from oneslice.evaluation.datasets import Stack
from oneslice.evaluation.methods.base import Request
from oneslice.evaluation.methods.options import Options
from oneslice.evaluation.methods.pairwise import Choose, Pairwise, Prompts
from oneslice.evaluation.methods.session import Session
from oneslice.matching import Matcher, make_descriptor
from oneslice.pool import SupportPool


class Paper(Pairwise):
    """Augmented supports, matched per query slice."""

    name = "paper"

    def __init__(self, session: Session, options: Options) -> None:
        super().__init__(session)
        self._options = options
        self._policy = AugmentationPolicy()
        self._metric = options.metric or Metric.ENCODER
        self._descriptor = make_descriptor(self._metric, options.offline)
        if self._metric is not Metric.LPIPS:
            self.note = (
                "paper: not matched by the paper's own --metric lpips, for which a network is "
                "downloaded once."
            )

    def _prompts(
        self, query: Stack, support: Stack, requests: Sequence[Request]
    ) -> tuple[Prompts, Choose]:
        size = 1 + self._options.per_query * max(map(_most_supported, requests))
        prompts = self._pool(
            support,
            requests,
            lambda slices: (SupportPool(slices, size, self._policy, self._options.seed), size),
        )
        return prompts, self._chooser(query, requests, prompts)

    def _chooser(self, query: Stack, requests: Sequence[Request], prompts: Prompts) -> Choose:
        matcher = Matcher(self._descriptor, prompts.encoded, prompts.pool.eligible())
        frames = self._session.scan(query).encoded

        @cache
        def distances(z: int) -> Tensor:
            return matcher.distances(frames, z)

        def choose(z: int, k: int) -> int:
            candidates = [
                n for slice_ in _candidates(requests[k], z) for n in prompts.entries(slice_)
            ]
            return candidates[int(distances(z)[candidates, k].argmin())]

        return choose

    def describe(self) -> dict[str, Any]:
        """The checkpoint and the paper's choices."""
        choices = {
            "metric": self._metric.value,
            "per_query": self._options.per_query,
            "policy": asdict(self._policy),
            "seed": self._options.seed,
        }
        return super().describe() | choices


def _most_supported(request: Request) -> int:
    """The most query slices that one labelled slice supports; an even share if unknown."""
    if request.chunks is None:
        return ceil(len(request.slices) / len(request.labelled))
    return max(Counter(request.chunks).values())


def _candidates(request: Request, z: int) -> Sequence[int]:
    """The labelled slices that may prompt a query slice."""
    if request.chunks is None:
        return tuple(dict.fromkeys(request.labelled))
    return [request.labelled[request.chunks[request.slices.index(z)]]]
