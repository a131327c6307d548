"""How unlike two described slices are: what registration descends."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Unlikeness(torch.autograd.Function):
    """The mean squared difference, summed over the batch, with its gradient by ``moved`` alone.

    Autograd would go through as many numbers more often.
    """

    @staticmethod
    def forward(ctx: Any, fixed: Tensor, moved: Tensor, share: Tensor) -> Tensor:
        """Descriptions (B, C, h, w) twice; share (B, 1, h, w), which adds up to 1 / C for each."""
        difference = moved - fixed
        weighted = share * difference
        ctx.save_for_backward(weighted)
        return torch.dot(weighted.flatten(), difference.flatten())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, None]:
        """Of all three arguments; none but ``moved`` has a gradient."""
        (weighted,) = ctx.saved_tensors
        return None, weighted * (2 * gradients[0]), None


def shares(weight: Tensor, channels: int) -> Tensor:
    """Weights (B, 1, h, w) that add up to 1 over the channels of each of the batch."""
    return weight / (channels * weight.sum((1, 2, 3), keepdim=True).clamp(min=1e-6))
