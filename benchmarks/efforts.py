"""What the pipeline costs beside the paper's method, with the same engine and ``mini``.

All ways take turns on the same scans. What is done once for a support (segmenting its own scan, or
augmenting it where the scans to come are matched to the same copies) is done before the clock runs.
"""

from __future__ import annotations

from collections import defaultdict

from benchmarks import phantom
from benchmarks.timing import Seconds, median, timed
from oneslice import Segmenter, Settings
from oneslice.augment import Augmentations
from oneslice.choices import Effort
from oneslice.support import Support
from oneslice.volume import Volume

ANEW = "paper, two copies for each slice of each scan"
_SUPPORT_SLICES = 12


def efforts(slices: int, structures: int, rounds: int) -> dict[str, Seconds]:
    """The median of each way over ``rounds`` scans; the first is the paper's."""
    paper = Settings(search="pool", strategy="pairwise", augmentations=Augmentations(2, True))
    kept = {"paper, the same copies for all scans": Segmenter("mini", "cpu", paper)}
    kept |= {f"effort {e.value}": Segmenter("mini", "cpu", Settings(effort=e)) for e in Effort}
    support = phantom.labelled(_SUPPORT_SLICES, structures)
    own = phantom.labelled(slices, structures)
    for segmenter in kept.values():  # what is done once
        segmenter.segment(phantom.scan(slices, structures, seed=2)[0], support)
    times: dict[str, list[Seconds]] = defaultdict(list)
    for seed in range(3, rounds + 3):
        scan, _ = phantom.scan(slices, structures, seed)
        times[ANEW].append(_timed(Segmenter("mini", "cpu", paper), scan, support))
        for way, segmenter in kept.items():
            times[way].append(_timed(segmenter, scan, support))
        times["the labelled scan itself"].append(_timed(kept["effort default"], own.image, own))
    return {way: median(taken) for way, taken in times.items()}


def _timed(segmenter: Segmenter, scan: Volume, support: Support) -> Seconds:
    return timed(lambda: segmenter.segment(scan, support))
