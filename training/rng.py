"""Random numbers on a device from one seed: every draw names its range."""

import math
import random

import torch
from torch import Tensor


class Draw:
    """Draws batched random tensors from a generator that lives on the device."""

    def __init__(self, seed: int, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.generator = torch.Generator(device=self.device).manual_seed(seed)
        self.host = random.Random(seed)  # for decisions of the host: shapes and branches

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform in [low, high)."""
        unit = torch.rand(shape, generator=self.generator, device=self.device)
        return low + (high - low) * unit

    def log_uniform(self, *shape: int, low: float, high: float) -> Tensor:
        """Uniform on a logarithmic scale in [low, high)."""
        return self.uniform(*shape, low=math.log(low), high=math.log(high)).exp()

    def normal(self, *shape: int, scale: float = 1.0) -> Tensor:
        """Zero-mean normal numbers."""
        return scale * torch.randn(shape, generator=self.generator, device=self.device)

    def coin(self, *shape: int, chance: float = 0.5) -> Tensor:
        """True with the given chance."""
        return self.uniform(*shape) < chance

    def integers(self, *shape: int, high: int) -> Tensor:
        """Integers in [0, high)."""
        return torch.randint(high, shape, generator=self.generator, device=self.device)

    def choice(self, weights: Tensor, count: int) -> Tensor:
        """Draws ``count`` indices per row of ``weights`` (rows, n), with replacement."""
        return torch.multinomial(weights, count, replacement=True, generator=self.generator)


def step_seed(seed: int, step: int) -> int:
    """One seed per training step, so that a resumed run needs no generator state."""
    return (seed * 1_000_003 + step * 7_919 + 12_345) % (2**62)
