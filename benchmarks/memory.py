"""Peak memory of one run in a process of its own, as the operating system counts it.

``python -m benchmarks.memory SLICES AUGMENTATIONS MEMORY`` segments a phantom with ``mini`` and
prints the peak in MiB; MEMORY is the budget that ``--memory`` of the command line sets.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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

    settings = like_for_like(augmentations, budget)
    scan, _ = phantom.scan(slices, 2, seed=2, side=SIDE)
    Segmenter("mini", "cpu", settings).segment(scan, phantom.labelled(8, 2))
    print(_high_water())


def _high_water() -> int:
    """MiB of this program alone; ``ru_maxrss`` begins with what its parent held."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


if __name__ == "__main__":
    main()
