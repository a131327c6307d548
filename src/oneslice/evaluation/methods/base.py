"""What a method is given and what it returns; adding one is one file and a line in ``registry``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from oneslice.evaluation.datasets import Stack
from oneslice.evaluation.protocol import nearest_by_height
from oneslice.geometry import Array
from oneslice.volume import Structure


@dataclass(frozen=True, eq=False)
class Request:
    """One structure to segment on some slices of the query.

    Args:
        structure: what.
        labelled: the K labelled slices of the support scan.
        masks: (K, H, W), where the structure is on them.
        slices: of the query, to segment.
        chunks: for each of ``slices`` the position in ``labelled`` that the protocol assigns;
            None: the extent of the structure in the query is unknown.
    """

    structure: Structure
    labelled: tuple[int, ...]
    masks: Array
    slices: tuple[int, ...]
    chunks: tuple[int, ...] | None

    def assignment(self, query: Stack, support: Stack) -> dict[int, int]:
        """For each query slice a position in ``labelled``: its chunk, else the nearest height."""
        if self.chunks is not None:
            return dict(zip(self.slices, self.chunks, strict=True))
        nearest = nearest_by_height(len(query.slices), self.labelled, len(support.slices))
        return {z: nearest[z] for z in self.slices}


class Method(ABC):
    """Segments a query scan from labelled slices of another."""

    name: str
    uses_extent = True
    """Whether what it returns depends on ``Request.slices`` and ``Request.chunks``."""
    note = ""
    """What a reader of the table must know."""

    @abstractmethod
    def segment(self, query: Stack, support: Stack, requests: Sequence[Request]) -> list[Array]:
        """Segment all structures of one scan.

        Args:
            query: the scan to segment.
            support: the scan with the labelled slices.
            requests: one for each structure.

        Returns:
            For each request a mask (N, H, W) on the query's slices; slices that were not asked
            for are not looked at.

        """

    def describe(self) -> dict[str, Any]:
        """What a manifest needs to repeat the run."""
        return {}
