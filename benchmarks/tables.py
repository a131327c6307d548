"""The tables, as markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.compare import FLOOR_GOAL, GOALS, Comparison
from benchmarks.growth import Curve
from benchmarks.timing import Seconds


def markdown(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def speed(results: Sequence[Comparison]) -> str:
    """Times of oneslice and of the peers, and how many times faster it is."""
    header = ["input", "slices x structures", "threads", "oneslice", "Meta", "transformers"]
    header += ["faster than Meta", "than transformers", "goal"]
    return markdown(header, (_speed_row(result) for result in results))


def _speed_row(result: Comparison) -> list[str]:
    task, ours = result.task, result.ours
    peers = [result.peer(name) for name in ("meta", "transformers")]
    cells = [str(task.size), f"{task.slices} x {task.structures}", str(task.threads)]
    cells += [_both(ours), *(_both(peer) for peer in peers)]
    cells += [f"{peer.cpu / ours.cpu:.1f} / {peer.wall / ours.wall:.1f}" for peer in peers]
    goal = GOALS.get(task.structures)
    return [*cells, f"{goal}" if goal and task.size == 512 else ""]


def floor(results: Sequence[Comparison]) -> str:
    """The whole time beside the encoder alone, on one thread."""
    header = ["input", "structures", "images", "oneslice", "encoder alone: plain", "oneslice's"]
    header += ["whole / plain encoder", "whole / oneslice's encoder", "by operations", "goal"]
    return markdown(header, (_floor_row(result) for result in results))


def _floor_row(result: Comparison) -> list[str]:
    task, ours = result.task, result.ours
    plain, own = result.floor("plain encoder"), result.floor("encoder")
    cells = [str(task.size), str(task.structures), str(task.images)]
    cells += [f"{seconds.cpu:.1f}" for seconds in (ours, plain, own)]
    cells += [f"{ours.cpu / plain.cpu:.2f}", f"{ours.cpu / own.cpu:.2f}"]
    cells += [f"{result.by_operations:.2f}"]
    return [*cells, f"{FLOOR_GOAL}" if (task.size, task.structures) == (512, 4) else ""]


def levers(taken: Mapping[str, Seconds]) -> str:
    """Milliseconds of each piece of work."""
    rows = [(name, f"{1000 * t.cpu:.0f}", f"{1000 * t.wall:.0f}") for name, t in taken.items()]
    return markdown(["work", "CPU ms", "wall ms"], rows)


def efforts(taken: Mapping[str, Seconds]) -> str:
    """Seconds of each way, and how many times those of the first."""
    first = next(iter(taken.values()))
    rows = [(way, _both(t), f"{t.cpu / first.cpu:.1f}") for way, t in taken.items()]
    return markdown(["way", "CPU s / wall s", "times the paper's"], rows)


def memory(rows: Iterable[tuple[int, int, int, int]]) -> str:
    """Peaks by slices, augmentations and budget."""
    return markdown(["slices", "augmentations", "--memory (MiB)", "peak (MiB)"], rows)


def growth(curve: Curve) -> str:
    """One axis."""
    rows = [
        (value, f"{seconds.cpu:.2f}", f"{1000 * seconds.cpu / value:.1f}")
        for value, seconds in curve.points.items()
    ]
    return markdown([curve.axis, "CPU s", "ms each"], rows)


def _both(seconds: Seconds) -> str:
    return f"{seconds.cpu:.1f} / {seconds.wall:.1f}"
