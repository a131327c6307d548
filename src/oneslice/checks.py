"""Numbers that people give, checked; NumPy's become Python's own, which JSON can hold."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from oneslice.errors import InputError


def whole(value: Any, what: str, low: int, high: int | None = None) -> int:
    """A whole number.

    Raises:
        InputError: it is none, or beyond ``low`` or ``high``; the message says ``what`` it is for.
    """
    top = math.inf if high is None else high
    if isinstance(value, bool) or not isinstance(value, Integral) or not low <= int(value) <= top:
        raise InputError(f"{what} is a whole number{_range(low, top)}, not {value!r}")
    return int(value)


def number(value: Any, what: str, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number.

    Raises:
        InputError: as ``whole``.
    """
    real = isinstance(value, Real) and not isinstance(value, bool)
    if not (real and math.isfinite(value) and low <= value <= high):
        raise InputError(f"{what} is a finite number{_range(low, high)}, not {value!r}")
    return float(value)


def numbers(values: Any, shape: tuple[int, ...], what: str) -> npt.NDArray[np.float64]:
    """Numbers of this shape, as floats.

    Raises:
        InputError: they are others; the message begins with ``what`` they are.
    """
    try:
        found = np.asarray(values, float)
    except (TypeError, ValueError):
        raise InputError(f"{what}, not {values!r}") from None
    if found.shape != shape:
        raise InputError(f"{what}, not {values!r}")
    return found


def _range(low: float, high: float) -> str:
    if low == -math.inf:
        return ""
    return f" from {low:.10g} up" if high == math.inf else f" from {low:.10g} to {high:.10g}"
