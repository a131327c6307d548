"""``make bench``: measure, print the tables as markdown, draw the growth.

Times are CPU seconds of the process / seconds on the wall.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import growth, memory, tables
from benchmarks.compare import Comparison, Task, compare, like_for_like
from benchmarks.peers import Peers
from benchmarks.timing import all_threads, machine


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Args:
        grid: by size of the input, the numbers of structures.
        slices: of each scan in the grid.
        threads: how many, one after the other.
        probed: pairs of each peer that are timed in a run.
        memory: slices, augmentations and budget of each run.
        axes: values along each axis of the growth.
        sizes: of the input along the last axis.
        sized_slices: slices on that axis.
    """

    grid: dict[int, tuple[int, ...]]
    slices: int
    threads: tuple[int, ...]
    probed: int
    memory: tuple[tuple[int, int, int], ...]
    axes: dict[str, tuple[int, ...]]
    sizes: tuple[int, ...]
    sized_slices: int


_MEMORY = ((60, 16, 64), (600, 16, 64), (60, 256, 64), (60, 16, 1024), (600, 16, 1024))
_AXES = {
    "slices": (10, 20, 40, 80, 160, 320, 640),
    "structures": (1, 2, 4, 8, 16, 32),
    "augmentations": (1, 4, 16, 64, 256),
}
_THREADS = tuple(sorted({1, all_threads()}))
DEFAULT = Plan({256: (1, 4, 13), 512: (1, 4, 13)}, 30, (1,), 6, _MEMORY, _AXES, (256, 512, 1024), 2)
FULL = Plan(
    {256: (1, 4, 13), 512: (1, 4, 13), 1024: (1, 4, 13)},
    30, _THREADS, 6, _MEMORY, _AXES, (256, 512, 768, 1024), 5,
)  # fmt: skip
SMOKE = Plan({64: (1,)}, 2, (1,), 1, ((2, 1, 64),), {"structures": (1, 2)}, (64,), 1)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument("--full", action="store_true", help="1024 px and all threads too: hours")
    scope.add_argument("--smoke", action="store_true", help="only see whether it runs: seconds")
    parser.add_argument("--plot", type=Path, default=Path("docs/images/growth.png"))
    options = parser.parse_args(arguments)
    plan = FULL if options.full else SMOKE if options.smoke else DEFAULT
    print(f"{machine()}\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        curves = _measure(plan, Path(folder))
    growth.plot(curves, options.plot)
    print(f"![growth]({options.plot})")


def _measure(plan: Plan, folder: Path) -> list[growth.Curve]:
    results = [result for size in plan.grid for result in _grid(plan, size, folder)]
    _show("Speed: oneslice beside the reference way (CPU s / wall s)", tables.speed(results))
    single = [result for result in results if result.task.threads == 1]
    _show("The encoder alone, CPU s, one thread", tables.floor(single))
    peaks = [(*numbers, memory.peak(*numbers)) for numbers in plan.memory]
    _show("Peak memory of a process, mini", tables.memory(peaks))
    curves = [growth.along(axis, values) for axis, values in plan.axes.items()]
    curves.append(growth.along_sizes(folder / Peers.WEIGHTS, plan.sizes, plan.sized_slices))
    for curve in curves:
        _show(f"Growth with {curve.axis} ({curve.model}, one thread)", tables.growth(curve))
    return curves


def _grid(plan: Plan, size: int, folder: Path) -> list[Comparison]:
    peers = Peers(size, folder)
    tasks = [
        Task(size, plan.slices, structures, threads, probed=plan.probed)
        for threads in plan.threads
        for structures in plan.grid[size]
    ]
    return [compare(task, peers, like_for_like(peers, task)) for task in tasks]


def _show(title: str, table: str) -> None:
    print(f"### {title}\n\n{table}\n", flush=True)


if __name__ == "__main__":
    main()
