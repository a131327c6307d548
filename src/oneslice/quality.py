"""How far a result can be trusted."""

from __future__ import annotations

import torch
from torch import Tensor

from oneslice.sam2.state import Prediction


def confidence(prediction: Prediction, shown: Tensor) -> Tensor:
    """(K,) in [0, 1]: how sure SAM 2 is of what a slice shows of each structure.

    Where a structure is ``shown`` (K,), the probability that it is there times the predicted IoU
    of its mask; elsewhere the probability that it is absent.
    """
    probability = torch.sigmoid(prediction.score).cpu()
    present = probability * prediction.iou.clamp(0, 1).cpu()
    return torch.where(shown, present, 1 - probability)
