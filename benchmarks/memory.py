"""Peak memory of one run in a process of its own, as the operating system counts it.

``python -m benchmarks.memory SLICES AUGMENTATIONS MEMORY`` segments a phantom with ``mini`` and
prints the peak in MiB; MEMORY is the budget that ``--memory`` of the command line sets.
"""

from __future__ import annotations

import subprocess
import sys

SIDE = 64  # of the slices: the scan itself is small beside what is measured


def peak(slices: int, augmentations: int, budget: int) -> int:
    """MiB at the peak of a fresh process."""
    numbers = [str(n) for n in (slices, augmentations, budget)]
    command = [sys.executable, "-m", "benchmarks.memory", *numbers]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    slices, augmentations, budget = map(int, sys.argv[1:])
    from benchmarks import phantom
    from benchmarks.method import like_for_like
    from oneslice import Segmenter
    from oneslice.evaluation.memory import peak_mib

    settings = like_for_like(augmentations, budget)
    scan, _ = phantom.scan(slices, 2, seed=2, side=SIDE)
    Segmenter("mini", "cpu", settings).segment(scan, phantom.labelled(8, 2))
    print(int(peak_mib()))


if __name__ == "__main__":
    main()
