"""oneslice beside the reference way, and beside the encoder alone.

A run of oneslice is paused at some of its slices, and there one pair of each peer is timed: all see
the same machine in the same minutes. A peer's whole time is the median of its pairs times the
number of pairs, because each pair costs the same.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import torch

from benchmarks import phantom
from benchmarks.method import like_for_like
from benchmarks.operations import operations
from benchmarks.peers import Peers
from benchmarks.timing import Seconds, median, now, timed
from oneslice import Segmenter

GOALS = {1: 1.9, 4: 4.0, 13: 7.0}  # times faster than both peers, by structures
FLOOR_GOAL = 1.25


@dataclass(frozen=True)
class Task:
    """One cell of the grid."""

    size: int
    slices: int
    structures: int
    threads: int
    augmentations: int = 16
    probed: int = 6  # pairs of each peer that are timed

    @property
    def pairs(self) -> int:
        return self.slices * self.structures

    @property
    def images(self) -> int:
        """What must be encoded: every slice and every support it is compared with."""
        return self.slices + self.augmentations + 1


@dataclass(frozen=True)
class Comparison:
    """What a task took: oneslice in all, and the medians of the probes.

    Args:
        operations: of one encoder pass, and of all structures on an encoded slice.
    """

    task: Task
    ours: Seconds
    probes: dict[str, Seconds]
    operations: tuple[int, int]

    def peer(self, name: str) -> Seconds:
        """The whole task by a peer, from the median of its pairs."""
        return self.probes[name] * self.task.pairs

    def floor(self, encoder: str) -> Seconds:
        """The encoder alone, for all images that must be encoded."""
        return self.probes[encoder] * self.task.images

    @property
    def by_operations(self) -> float:
        """The whole / the encoder alone if all operations took as long as the encoder's."""
        encoder, structures = self.operations
        return 1 + self.task.slices * structures / (self.task.images * encoder)


def compare(task: Task, peers: Peers) -> Comparison:
    """Run oneslice on a phantom, and the probes in between."""
    torch.set_num_threads(task.threads)
    settings = like_for_like(task.augmentations)
    segmenter = Segmenter(peers.weights, peers.device, settings, image_size=task.size)
    probes: dict[str, list[Seconds]] = defaultdict(list)
    paused = Seconds()

    def probe(done: int, total: int) -> None:
        nonlocal paused
        if done % max(1, total // task.probed) == 0:
            before = now()
            for name, work in peers.probes.items():
                probes[name].append(timed(work))
            paused += now() - before

    scan, _ = phantom.scan(task.slices, task.structures, seed=2)
    support = phantom.labelled(task.slices, task.structures)
    whole = timed(lambda: segmenter.segment(scan, support, progress=probe))
    medians = {name: median(times) for name, times in probes.items()}
    counted = operations(peers.probes["encoder"]), operations(peers.segmenting(task.structures))
    return Comparison(task, whole - paused, medians, counted)
