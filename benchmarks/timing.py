"""Seconds of the processor and of the clock on the wall, and the machine they were taken on."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import transformers


@dataclass(frozen=True)
class Seconds:
    """CPU seconds of this process (of all its threads) and seconds that passed."""

    cpu: float = 0.0
    wall: float = 0.0

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.cpu + other.cpu, self.wall + other.wall)

    def __sub__(self, other: Seconds) -> Seconds:
        return Seconds(self.cpu - other.cpu, self.wall - other.wall)

    def __mul__(self, factor: float) -> Seconds:
        return Seconds(self.cpu * factor, self.wall * factor)


def now() -> Seconds:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()  # its work goes on while the processor has long gone on
    return Seconds(time.process_time(), time.perf_counter())


def timed(work: Callable[[], object]) -> Seconds:
    before = now()
    work()
    return now() - before


def median(times: Sequence[Seconds]) -> Seconds:
    return Seconds(
        statistics.median(t.cpu for t in times), statistics.median(t.wall for t in times)
    )


def all_threads() -> int:
    return len(os.sched_getaffinity(0))


def machine() -> str:
    """The machine in one line, with how busy it is."""
    found = torch.cpu.get_capabilities()
    instructions = [name for name in ("avx2", "avx512_f", "avx512_bf16", "amx_bf16") if found[name]]
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return (
        f"{found['cpu_name']} ({', '.join(instructions)}), {all_threads()} cores, "
        f"{gigabytes:.0f} GB, load {os.getloadavg()[0]:.1f}; Python {platform.python_version()}, "
        f"torch {torch.__version__}, transformers {transformers.__version__}; {card}"
    )
