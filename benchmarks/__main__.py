"""``make bench``: measure, print the tables as markdown, draw the growth.

Times are CPU seconds of the process / seconds on the wall.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import efforts, growth, levers, memory, tables
from benchmarks.compare import Comparison, Task, compare
from benchmarks.peers import Peers
from benchmarks.timing import all_threads, machine


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Args:
        sizes: of the network's input.
        structures: numbers of them.
        threads: how many, one after the other.
        slices: of each scan.
        probed: pairs of each peer that are timed in a run.
        efforts: slices, structures and scans on which the pipeline is timed.
        memory: slices, augmentations and budget of each run.
        axes: values along each axis of the growth.
        input_sizes: of the input along the last axis.
    """

    sizes: Sequence[int]
    structures: Sequence[int]
    threads: Sequence[int]
    slices: int
    probed: int
    efforts: tuple[int, int, int]
    memory: Sequence[tuple[int, int, int]]
    axes: Mapping[str, Sequence[int]]
    input_sizes: Sequence[int]


DEFAULT = Plan(
    sizes=(256, 512),
    structures=(1, 4, 13),
    threads=(1,),
    slices=30,
    probed=6,
    efforts=(30, 4, 3),
    memory=((60, 16, 64), (600, 16, 64), (60, 256, 64), (60, 16, 1024), (600, 16, 1024)),
    axes={
        "slices": (10, 20, 40, 80, 160, 320, 640),
        "structures": (1, 2, 4, 8, 16, 32),
        "augmentations": (1, 4, 16, 64, 256),
    },
    input_sizes=(256, 512, 1024),
)
FULL = replace(DEFAULT, sizes=(256, 512, 1024), threads=tuple(sorted({1, all_threads()})))
SMOKE = Plan((64,), (1,), (1,), 2, 1, (2, 1, 1), ((2, 1, 64),), {"structures": (1, 2)}, (64,))
PARTS = ("speed", "levers", "efforts", "memory", "growth")


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    plan = FULL if options.full else SMOKE if options.smoke else DEFAULT
    given = {n: getattr(options, n) for n in ("sizes", "structures", "threads")}
    plan = replace(plan, **{name: values for name, values in given.items() if values})
    print(f"{machine()}\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        if "speed" in options.parts:
            _speed(plan, Path(folder), options.device)
        if "levers" in options.parts:
            _levers(plan, Path(folder))
        if "efforts" in options.parts:
            taken = efforts.efforts(*plan.efforts)
            _show("The pipeline beside the paper's method, mini", tables.efforts(taken))
        if "memory" in options.parts:
            peaks = [(*numbers, memory.peak(*numbers)) for numbers in plan.memory]
            _show("Peak memory of a process, mini", tables.memory(peaks))
        if "growth" in options.parts:
            _growth(plan, Path(folder), options.plot)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument("--full", action="store_true", help="1024 px and all threads too: hours")
    scope.add_argument("--smoke", action="store_true", help="only see whether it runs: seconds")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    for name in ("sizes", "structures", "threads"):
        parser.add_argument(f"--{name}", nargs="+", type=int, help="instead of the plan's")
    parser.add_argument("--device", default="cpu", help="of the part speed: cpu or cuda")
    parser.add_argument("--plot", type=Path, default=Path("docs/images/growth.png"))
    return parser


def _speed(plan: Plan, folder: Path, device: str) -> None:
    results = [result for size in plan.sizes for result in _grid(plan, size, folder, device)]
    _show("Speed: oneslice beside the reference way (CPU s / wall s)", tables.speed(results))
    if single := [result for result in results if result.task.threads == 1]:
        _show("The encoder alone, CPU s, one thread", tables.floor(single))


def _grid(plan: Plan, size: int, folder: Path, device: str) -> list[Comparison]:
    peers = Peers(size, folder, device)
    tasks = [
        Task(size, plan.slices, structures, threads, probed=plan.probed)
        for threads in plan.threads
        for structures in plan.structures
    ]
    return [compare(task, peers) for task in tasks]


def _levers(plan: Plan, folder: Path) -> None:
    for size in plan.sizes:
        taken = levers.levers(Peers(size, folder), plan.probed)
        _show(f"Levers at {size} px, hiera-tiny", tables.levers(taken))


def _growth(plan: Plan, folder: Path, picture: Path) -> None:
    curves = [growth.along(axis, values) for axis, values in plan.axes.items()]
    weights = Peers(plan.input_sizes[0], folder).weights
    curves.append(growth.along_sizes(weights, plan.input_sizes))
    for curve in curves:
        _show(f"Growth with {curve.axis} ({curve.model}, one thread)", tables.growth(curve))
    growth.plot(curves, picture)
    print(f"![growth]({picture})")


def _show(title: str, table: str) -> None:
    print(f"### {title}\n\n{table}\n", flush=True)


if __name__ == "__main__":
    main()
