"""What each lever of the engine gains: the same work with and without it, in turns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import torch

from benchmarks.operations import products_by_mkl
from benchmarks.peers import Peers
from benchmarks.timing import Seconds, all_threads, median, timed

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
    features = engine.encode(peers.images[:1])
    one = peers.segmenting(1)

    def remember() -> object:
        return engine.remember(features, peers.mask[None])

    torch.set_num_threads(1)
    return {
        "encoder: transformers": probes["plain encoder"],
        "encoder: this engine, products by MKL": _without_onednn(probes["encoder"]),
        "encoder: this engine": probes["encoder"],
        "a structure on a slice: products by MKL": _without_onednn(one),
        "a structure on a slice": one,
        f"{STRUCTURES} structures on a slice, one by one": lambda: [
            one() for _ in range(STRUCTURES)
        ],
        f"{STRUCTURES} structures on a slice, together": peers.segmenting(STRUCTURES),
        "a memory: products by MKL": _without_onednn(remember),
        "a memory": remember,
        f"encoder: transformers, {all_threads()} threads": _threaded(probes["plain encoder"]),
        f"encoder: this engine, {all_threads()} threads": _threaded(probes["encoder"]),
    }


def _without_onednn(work: Callable[[], object]) -> Callable[[], object]:
    def plain() -> None:
        with products_by_mkl():
            work()

    return plain


def _threaded(work: Callable[[], object]) -> Callable[[], object]:
    def threaded() -> None:
        torch.set_num_threads(all_threads())
        try:
            work()
        finally:
            torch.set_num_threads(1)

    return threaded
