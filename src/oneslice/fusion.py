"""From the logits of several structures to one label map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from oneslice.geometry import Array
from oneslice.sam2.state import ABSENT, Prediction
from oneslice.volume import Structure


def present_logits(prediction: Prediction, presence: float) -> Tensor:
    """Logits (K, h, w) in which a structure with an object score of ``presence`` or less is absent.

    The score is a logit: 0 is SAM 2's own threshold, a larger one demands more certainty.
    """
    absent = prediction.score <= presence
    return torch.where(absent[:, None, None], ABSENT, prediction.logits)


def blend(logits: Tensor, carried: Tensor, weight: float) -> Tensor:
    """Logits (K, S, S) of the network's probabilities averaged with registered masks.

    Args:
        logits: (K, h, w) of the network.
        carried: (K, S, S) in [0, 1].
        weight: of the masks, 0 to 1.
    """
    size = carried.shape[-2:]
    fine = F.interpolate(logits[None], size, mode="bilinear", align_corners=False)[0]
    mixed = (1 - weight) * torch.sigmoid(fine) + weight * carried
    return torch.logit(mixed, eps=1e-6)


def fuse(logits: Tensor, structures: Sequence[Structure]) -> Array:
    """Labels (rows, columns): per pixel the structure with the largest logit, if that is above 0.

    The background competes with a logit of 0.
    """
    best, winner = logits.max(0)
    values = torch.tensor([s.value for s in structures], device=logits.device)
    return torch.where(best > 0, values[winner], 0).cpu().numpy().astype(np.uint16)


def remove_fragments(labels: Array, fraction: float) -> Array:
    """Clear every 3D component smaller than ``fraction`` of its structure's largest one.

    Components are 26-connected.
    """
    import cc3d

    components = cc3d.connected_components(labels, connectivity=26)
    sizes = np.bincount(components.ravel())
    owner = np.zeros(len(sizes), np.int64)
    owner[components.ravel()] = labels.ravel()
    largest = np.array([sizes[owner == value].max(initial=0) for value in range(owner.max() + 1)])
    keep = sizes >= fraction * largest[owner]
    return np.where(keep[components], labels, 0).astype(labels.dtype)
