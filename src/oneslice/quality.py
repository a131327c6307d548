"""How far a result can be trusted."""

from __future__ import annotations

import torch
from torch import Tensor

from oneslice.sam2.state import Prediction


def confidence(prediction: Prediction, presence: float = 0.0) -> Tensor:
    """(K,) in [0, 1]: how sure SAM 2 is of what it says about each structure of a slice.

    Where the structure is present, its probability times the predicted IoU of its mask; where it
    is absent (a score of ``presence`` or less), the probability that it is.
    """
    probability = torch.sigmoid(prediction.score)
    present = probability * prediction.iou.clamp(0, 1)
    return torch.where(prediction.score > presence, present, 1 - probability)
