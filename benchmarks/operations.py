"""How many floating-point operations a piece of work takes, whatever the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch.utils.flop_counter import FlopCounterMode

from oneslice.sam2 import kernels


def operations(work: Callable[[], object]) -> int:
    """Of its matrix products and convolutions; PyTorch cannot count those of oneDNN."""
    with products_by_mkl(), FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


@contextmanager
def products_by_mkl() -> Iterator[None]:
    """The engine's matrix products without oneDNN."""
    before = kernels._ONEDNN, kernels._KEEPS_FLOAT32
    kernels._ONEDNN = kernels._KEEPS_FLOAT32 = False
    try:
        yield
    finally:
        kernels._ONEDNN, kernels._KEEPS_FLOAT32 = before
