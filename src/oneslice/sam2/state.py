"""What goes into and comes out of the engine: features, memories and predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

ABSENT = -1024.0  # the logit that SAM 2 gives to every pixel of an absent object


@dataclass(frozen=True)
class Features:
    """Encoder features of N images of size S, with C channels at stride 16 (HW positions).

    Args:
        top: (N, HW, C), what memory attention reads.
        middle: (N, C/4, S/8, S/8), for the mask decoder.
        fine: (N, C/8, S/4, S/4), for the mask decoder.
    """

    top: Tensor
    middle: Tensor
    fine: Tensor

    def __len__(self) -> int:
        return len(self.top)

    def select(self, index: Tensor | Sequence[int]) -> Features:
        """The features of the images ``index`` (B,)."""
        chosen = torch.as_tensor(index, device=self.top.device)
        return Features(self.top[chosen], self.middle[chosen], self.fine[chosen])

    @classmethod
    def stack(cls, parts: Sequence[Features]) -> Features:
        """Join along N."""
        return cls(
            torch.cat([p.top for p in parts]),
            torch.cat([p.middle for p in parts]),
            torch.cat([p.fine for p in parts]),
        )

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.top.nbytes + self.middle.nbytes + self.fine.nbytes


@dataclass(frozen=True)
class Memory:
    """What SAM 2 keeps of B (image, mask) pairs.

    Args:
        tokens: (B, HW, D) spatial memory, bfloat16 as in SAM 2.
        pointer: (B, C) object pointer.
    """

    tokens: Tensor
    pointer: Tensor

    def select(self, index: Tensor | Sequence[int]) -> Memory:
        """The memories ``index`` (B,)."""
        chosen = torch.as_tensor(index, device=self.tokens.device)
        return Memory(self.tokens[chosen], self.pointer[chosen])

    @classmethod
    def stack(cls, parts: Sequence[Memory]) -> Memory:
        """Join along B."""
        return cls(torch.cat([p.tokens for p in parts]), torch.cat([p.pointer for p in parts]))


@dataclass(frozen=True)
class Remembered:
    """A frame of the video as seen from the frame to segment.

    Args:
        memory: of B pairs, one for each pair to segment.
        distance: frames between the two, at least 1.
        prompted: whether the user gave its mask (a conditioning frame) or it was segmented.
    """

    memory: Memory
    distance: int
    prompted: bool


@dataclass(frozen=True)
class Prediction:
    """Masks of B (image, structure) pairs.

    Args:
        logits: (B, S/4, S/4), positive inside; -1024 everywhere if the object is absent.
        iou: (B,) predicted IoU of the mask.
        score: (B,) object score, a logit; the object is absent at or below 0.
        pointer: (B, C) object pointer.
    """

    logits: Tensor
    iou: Tensor
    score: Tensor
    pointer: Tensor

    @classmethod
    def stack(cls, parts: Sequence[Prediction]) -> Prediction:
        """Join along B."""
        return cls(
            torch.cat([p.logits for p in parts]),
            torch.cat([p.iou for p in parts]),
            torch.cat([p.score for p in parts]),
            torch.cat([p.pointer for p in parts]),
        )
