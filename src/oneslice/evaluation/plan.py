"""From two labelled scans to what a method is asked and on which slices it is scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from oneslice.evaluation.datasets import LabelledStack
from oneslice.evaluation.methods.base import Request
from oneslice.evaluation.protocol import Extent, slices_with, support_slices
from oneslice.volume import Structure


class Extents(StrEnum):
    """Whether a method is told where each structure begins and ends in the query.

    KNOWN is the field's protocol: only the slices between the structure's true ends are segmented
    and scored. UNKNOWN is what a user has: the whole volume is.
    """

    KNOWN = "oracle"
    UNKNOWN = "no-oracle"


class Status(StrEnum):
    """Whether a structure of a case is scored, and why not."""

    SCORED = "scored"
    NOT_IN_SUPPORT = "not in the support scan"
    NOT_IN_QUERY = "not in the query scan"
    NOTHING_LEFT = "every slice of it is labelled"


@dataclass(frozen=True, eq=False)
class Plan:
    """What happens with one structure of one case.

    Args:
        structure: which.
        status: whether it is scored.
        request: for the method, None unless it is scored.
        extent: of the structure in the query, None if it is not there.
        given: slices of the query whose labels are the labelled ones, within one scan.
    """

    structure: Structure
    status: Status
    request: Request | None = None
    extent: Extent | None = None
    given: tuple[int, ...] = ()


def plan(
    structures: Sequence[Structure],
    query: LabelledStack,
    support: LabelledStack,
    shots: int,
    extents: Extents,
) -> list[Plan]:
    """One plan for each structure.

    Where query and support are the same scan, its labelled slices are not segmented.
    """
    return [_plan(structure, query, support, shots, extents) for structure in structures]


def _plan(
    structure: Structure, query: LabelledStack, support: LabelledStack, shots: int, extents: Extents
) -> Plan:
    mask = support.mask(structure)
    present, in_query = slices_with(mask), slices_with(query.mask(structure))
    extent = Extent.of(in_query) if in_query else None
    if not present:
        return Plan(structure, Status.NOT_IN_SUPPORT, extent=extent)
    if extents is Extents.KNOWN and extent is None:
        return Plan(structure, Status.NOT_IN_QUERY)
    labelled = support_slices(present, shots)
    known = extent if extents is Extents.KNOWN else None
    given = labelled if query is support else ()
    wanted = known.slices if known else range(len(query.labels))
    slices = tuple(z for z in wanted if z not in given)
    if not slices:
        return Plan(structure, Status.NOTHING_LEFT, extent=extent, given=given)
    chunks = tuple(known.chunk(z, shots) for z in slices) if known else None
    request = Request(structure, labelled, mask[list(labelled)], slices, chunks)
    return Plan(structure, Status.SCORED, request, extent, given)
