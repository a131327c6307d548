"""``copy``: the support's mask as it is, the floor that any method must clear."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oneslice.evaluation.datasets import Stack
from oneslice.evaluation.methods.base import Method, Request
from oneslice.evaluation.methods.planes import Plane
from oneslice.geometry import Array


class Copy(Method):
    """Copies the mask of the assigned labelled slice, centre on centre where grids differ."""

    name = "copy"

    def segment(self, query: Stack, support: Stack, requests: Sequence[Request]) -> list[Array]:
        """Copy."""
        return [self._copy(query, support, request) for request in requests]

    def _copy(self, query: Stack, support: Stack, request: Request) -> Array:
        result = np.zeros(query.slices.shape, bool)
        target, source = Plane.of(query, query), Plane.of(support, query)
        for z, number in request.assignment(query, support).items():
            result[z] = target.fetch(source, request.masks[number]) >= 0.5
        return result
