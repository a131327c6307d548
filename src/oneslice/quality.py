"""How far a result can be trusted."""

from __future__ import annotations

import torch
from torch import Tensor

from oneslice.sam2.state import Prediction


def confidence(prediction: Prediction, shown: Tensor, agreement: Tensor | None = None) -> Tensor:
    """(K,) in [0, 1]: how far what a slice shows of each structure can be trusted.

    Where a structure is ``shown`` (K,), the probability that it is there times the predicted IoU
    of its mask, both SAM 2's; elsewhere the probability that it is absent. SAM 2 tends to be sure
    of itself. Where another mask was come by otherwise, what is shown is trusted by the geometric
    mean of that and the Dice of both.

    Args:
        prediction: the network's.
        shown: whether the result shows the structures.
        agreement: (K,), the Jaccard index J of both masks; Dice is 2 J / (1 + J).
    """
    probability = torch.sigmoid(prediction.score).cpu()
    present = probability * prediction.iou.clamp(0, 1).cpu()
    if agreement is not None:
        present = (present * 2 * agreement.cpu() / (1 + agreement.cpu())).sqrt()
    return torch.where(shown.cpu(), present, 1 - probability)
