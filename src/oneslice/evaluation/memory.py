"""The largest memory of this process during a block."""

from __future__ import annotations

import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


class PeakMemory:
    """Measures on Linux, where the peak can be reset; elsewhere ``mib`` stays None."""

    mib: float | None = None

    def __enter__(self) -> PeakMemory:
        self._measurable = sys.platform == "linux" and _reset()
        return self

    def __exit__(self, *error: object) -> None:
        if self._measurable:
            self.mib = peak_mib()


def _reset() -> bool:
    try:
        _CLEAR.write_text(_RESET_PEAK)
    except OSError:  # a container may forbid it
        return False
    return True


def peak_mib() -> float | None:
    """The largest memory so far, of this program alone; None where the system does not say.

    ``ru_maxrss`` begins with what the parent process held.
    """
    for line in _STATUS.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return None
