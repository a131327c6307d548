"""Supports made ready once for many query scans: the pool, its features, memories and matcher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oneslice.alignment import Heights
from oneslice.carrying import CarryingPrompter
from oneslice.choices import Search
from oneslice.clock import Stopwatch
from oneslice.encoded import EncodedFrames
from oneslice.matching import Descriptor, Matcher
from oneslice.pool import SupportPool, labelled_slices
from oneslice.prompting import PoolMemories, PoolPrompter, Prompter
from oneslice.sam2.engine import Engine
from oneslice.settings import Settings
from oneslice.support import Support, all_structures, by_image
from oneslice.volume import Structure


@dataclass(frozen=True, eq=False)
class PreparedSupports:
    """Everything about the supports that does not depend on the query.

    Args:
        supports: where it came from.
        structures: the K structures.
        pool: the augmented supports.
        matcher: compares them with query slices.
        memories: of the pool.
        search: how supports come to resemble query slices.
        heights: of the structures, in each scan.
    """

    supports: tuple[Support, ...]
    structures: tuple[Structure, ...]
    pool: SupportPool
    matcher: Matcher
    memories: PoolMemories
    search: Search
    heights: tuple[Heights, ...]

    def prompter(self, engine: Engine, queries: EncodedFrames, clock: Stopwatch) -> Prompter:
        """What prompts the slices of one scan."""
        if self.search is Search.REGISTER:
            return CarryingPrompter(engine, self.pool, self.matcher, queries, clock)
        return PoolPrompter(self.memories, self.matcher, queries, len(self.structures), clock)


def prepare(
    engine: Engine,
    descriptor: Descriptor,
    supports: Sequence[Support],
    settings: Settings,
    pool_size: int,
    clock: Stopwatch,
) -> PreparedSupports:
    """Augment, describe and make ready ``pool_size`` copies of each labelled slice.

    Supports that share an image count as one scan: their slices are put in its order.
    """
    supports = tuple(supports)
    structures = all_structures(supports)
    directions, scans = supports[0].directions, by_image(supports)
    slices = [
        labelled
        for number, same in enumerate(scans)
        for support in same
        for labelled in labelled_slices(
            support, structures, directions, settings, engine.image_size, number
        )
    ]
    slices.sort(key=lambda labelled: (labelled.scan_number, labelled.position))
    pool = SupportPool(slices, pool_size, settings.policy, settings.seed)
    encoded = EncodedFrames(engine, pool, settings.feature_budget, clock)
    matcher = Matcher(descriptor, encoded, pool.eligible())
    memories = PoolMemories(engine, pool, encoded)
    heights = tuple(Heights.of(same, structures, directions) for same in scans)
    return PreparedSupports(supports, structures, pool, matcher, memories, settings.search, heights)
