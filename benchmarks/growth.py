"""How the time grows along each axis, and its picture.

``mini`` stands in for hiera-tiny on the long axes: the growth is that of the pipeline, not of the
network. The size of the input is varied with hiera-tiny.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks import phantom
from benchmarks.method import like_for_like
from benchmarks.timing import Seconds, timed
from oneslice import Segmenter

MINI_SIZE = 128
SLICES, STRUCTURES, AUGMENTATIONS = 20, 2, 8  # of the axes that are not varied
FEW = 2  # slices and augmentations where the size of the input is varied


@dataclass(frozen=True)
class Curve:
    """Seconds along one axis."""

    axis: str
    model: str
    points: dict[int, Seconds]


def along(axis: str, values: Iterable[int]) -> Curve:
    """Runs of ``mini`` with one of ``slices``, ``structures`` and ``augmentations`` varied."""
    torch.set_num_threads(1)
    fixed = {"slices": SLICES, "structures": STRUCTURES, "augmentations": AUGMENTATIONS}
    points = {}
    for value in values:
        chosen = fixed | {axis: value}
        segmenter = _segmenter("mini", MINI_SIZE, chosen["augmentations"])
        points[value] = _run(segmenter, chosen["slices"], chosen["structures"])
    return Curve(axis, f"mini at {MINI_SIZE} px", points)


def along_sizes(weights: Path, sizes: Iterable[int]) -> Curve:
    """Runs of hiera-tiny with the size of its input varied."""
    torch.set_num_threads(1)
    points = {}
    for size in sizes:
        points[size] = _run(_segmenter(weights, size, FEW), FEW, STRUCTURES)
    return Curve("input size", f"hiera-tiny, {FEW} slices", points)


def _segmenter(model: str | Path, size: int, augmentations: int) -> Segmenter:
    return Segmenter(model, "cpu", like_for_like(augmentations), image_size=size)


def _run(segmenter: Segmenter, slices: int, structures: int) -> Seconds:
    scan, _ = phantom.scan(slices, structures, seed=2)
    support = phantom.labelled(8, structures)
    return timed(lambda: segmenter.segment(scan, support))


def plot(curves: list[Curve], path: Path) -> None:
    """One panel for each axis, with CPU seconds on one thread; both scales are logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(curves), figsize=(3.2 * len(curves), 3.2), squeeze=False)
    for panel, curve in zip(panels[0], curves, strict=True):
        values = list(curve.points)
        panel.plot(values, [curve.points[v].cpu for v in values], "o-", color="#2a6fb0")
        panel.set(xscale="log", yscale="log", xlabel=curve.axis, title=curve.model)
        panel.set_xticks(values, [str(v) for v in values], rotation=45, fontsize=7, minor=False)
        panel.set_xticks([], minor=True)
        panel.grid(alpha=0.3, which="both")
    panels[0][0].set_ylabel("CPU seconds, one thread")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)
