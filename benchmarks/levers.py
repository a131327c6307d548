"""What each lever of the engine gains: the same work with and without it, in turns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from benchmarks.peers import Peers
from benchmarks.timing import Seconds, all_threads, median, timed
from oneslice.sam2 import kernels
from oneslice.sam2.state import Prediction, Remembered

STRUCTURES = 4


def levers(peers: Peers, rounds: int) -> dict[str, Seconds]:
    """Medians of a few pieces of work, done in turns."""
    work = _work(peers)
    times: dict[str, list[Seconds]] = defaultdict(list)
    for _ in range(rounds + 1):
        for name, piece in work.items():
            times[name].append(timed(piece))
    return {name: median(taken[1:]) for name, taken in times.items()}  # the first warms up


def _work(peers: Peers) -> dict[str, Callable[[], object]]:
    engine, probes = peers.engine, peers.probes
    features = engine.encode(peers.images)
    masks = peers.mask.expand(STRUCTURES, -1, -1)
    memory = engine.remember(features.select([0] * STRUCTURES), masks)

    def segment(structures: list[int]) -> Prediction:
        context = [Remembered(memory.select(structures), 1, prompted=True)]
        return engine.segment(features, [1] * len(structures), context)

    def remember() -> object:
        return engine.remember(features.select([0]), masks[:1])

    torch.set_num_threads(1)
    return {
        "encoder: transformers": probes["plain encoder"],
        "encoder: this engine, products by MKL": _without_onednn(probes["encoder"]),
        "encoder: this engine": probes["encoder"],
        "a structure on a slice: products by MKL": _without_onednn(lambda: segment([0])),
        "a structure on a slice": lambda: segment([0]),
        f"{STRUCTURES} structures on a slice, one by one": lambda: [
            segment([n]) for n in range(STRUCTURES)
        ],
        f"{STRUCTURES} structures on a slice, together": lambda: segment(list(range(STRUCTURES))),
        "a memory: products by MKL": _without_onednn(remember),
        "a memory": remember,
        f"encoder: transformers, {all_threads()} threads": _threaded(probes["plain encoder"]),
        f"encoder: this engine, {all_threads()} threads": _threaded(probes["encoder"]),
    }


def _without_onednn(work: Callable[[], object]) -> Callable[[], object]:
    def plain() -> None:
        with _switched_off():
            work()

    return plain


@contextmanager
def _switched_off() -> Iterator[None]:
    before = kernels._ONEDNN, kernels._KEEPS_FLOAT32
    kernels._ONEDNN = kernels._KEEPS_FLOAT32 = False
    try:
        yield
    finally:
        kernels._ONEDNN, kernels._KEEPS_FLOAT32 = before


def _threaded(work: Callable[[], object]) -> Callable[[], object]:
    def threaded() -> None:
        torch.set_num_threads(all_threads())
        try:
            work()
        finally:
            torch.set_num_threads(1)

    return threaded
