"""AdamW, optionally with Muon for the matrices; warm-up and cosine over the budget."""

import math

import torch
from torch import Tensor, nn

from training.state import optimiser_tensors, restore_optimiser


def ema_decay(step: int, limit: float = 0.998) -> float:
    """Short memory at first, so that the average never holds the random start."""
    return min(limit, (step + 1) / (step + 20))


class Optimiser:
    """Two optimisers behind one step: matrices and the rest."""

    def __init__(self, model: nn.Module, rate: float, muon: bool, clip: float = 1.0) -> None:
        self.rate, self.clip = rate, clip
        self.names = {id(p): n for n, p in model.named_parameters()}
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        hidden = [p for p in self.parameters if muon and _is_hidden(self.names[id(p)], p)]
        taken = {id(p) for p in hidden}
        rest = [p for p in self.parameters if id(p) not in taken]
        self.parts: list[torch.optim.Optimizer] = [_adamw(rest, rate)]
        if hidden:
            self.parts.append(
                torch.optim.Muon(hidden, rate, weight_decay=0.02, adjust_lr_fn="match_rms_adamw")
            )

    def rate_at(self, progress: float) -> float:
        """Learning rate at this share of the budget: 2 % warm-up, then a cosine to 2 %."""
        if progress < 0.02:
            return self.rate * (0.05 + 0.95 * progress / 0.02)
        turn = min(1.0, (progress - 0.02) / 0.98)
        return self.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * turn)))

    def step(self, progress: float) -> None:
        """Clips the gradients and moves the weights; gradients that are not finite count as 0.

        Nothing here asks the device for a number: a card would stand still until it is answered.
        """
        nn.utils.clip_grad_norm_(self.parameters, self.clip)
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.grad.nan_to_num_(0.0, 0.0, 0.0)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = self.rate_at(progress)
            part.step()
            part.zero_grad(set_to_none=True)

    def tensors(self) -> dict[str, Tensor]:
        """State of both parts, by parameter name."""
        flat: dict[str, Tensor] = {}
        for part in self.parts:
            flat |= optimiser_tensors(part, self.names)
        return flat

    def restore(self, tensors: dict[str, Tensor]) -> None:
        for part in self.parts:
            restore_optimiser(part, tensors, self.names)


def _is_hidden(name: str, parameter: nn.Parameter) -> bool:
    """Matrices inside the network; embeddings and convolutions stay with AdamW."""
    return parameter.ndim == 2 and "embed" not in name and "token" not in name


def _adamw(parameters: list[nn.Parameter], rate: float) -> torch.optim.AdamW:
    decayed = [p for p in parameters if p.ndim > 1]
    plain = [p for p in parameters if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, rate, betas=(0.9, 0.98))
