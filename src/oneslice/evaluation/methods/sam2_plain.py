"""``sam2-plain``: the assigned labelled slice as prompt, as it is."""

from __future__ import annotations

from collections.abc import Sequence

from oneslice.augment import AugmentationPolicy
from oneslice.evaluation.datasets import Stack
from oneslice.evaluation.methods.base import Request
from oneslice.evaluation.methods.pairwise import Choose, Pairwise, Prompts
from oneslice.pool import SupportPool


class Sam2Plain(Pairwise):
    """No augmentation, no matching beyond the protocol's chunks."""

    name = "sam2-plain"

    def _prompts(
        self, query: Stack, support: Stack, requests: Sequence[Request]
    ) -> tuple[Prompts, Choose]:
        prompts = self._pool(
            support, requests, lambda slices: (SupportPool(slices, 1, AugmentationPolicy(), 0), 1)
        )
        assigned = [request.assignment(query, support) for request in requests]

        def choose(z: int, k: int) -> int:
            return prompts.entries(requests[k].labelled[assigned[k][z]])[0]

        return prompts, choose
