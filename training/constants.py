"""Fixed numbers on a device."""

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache
def constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Numbers (n,), sent to the device once: a copy from the host makes a card wait."""
    return torch.tensor(values, device=device)
