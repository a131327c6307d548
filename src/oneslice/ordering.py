"""Which labelled slices speak for which query slices, from what it costs to register them.

Structures follow the same order in every patient, so along the query the labelled slices of a scan
take over from each other in their own order: a hidden Markov chain without a way back.
"""

from __future__ import annotations

import torch
from torch import Tensor

SHARPNESS = 40.0  # how fast a slice loses its say as its cost rises
_UNHEARD = 0.12  # a weight up to this is not worth the work
_SHARE = 0.3  # of the sharpness with which the other query slices tell the order


def weigh(costs: Tensor, scans: Tensor) -> Tensor:
    """The say of each labelled slice on each query slice.

    Args:
        costs: (N, L) of registering the L labelled slices, in the order of their scans, onto the N
            query slices, in theirs; infinite where one was not registered, not for all of a row.
        scans: (L,) which scan each of them is of.

    Returns:
        (N, L), not negative; each row adds up to 1.
    """
    worst = torch.where(costs.isinf(), -torch.inf, costs).amax(1, keepdim=True)
    filled = torch.where(costs.isinf(), worst, costs)
    order = torch.zeros_like(costs)
    for scan in scans.unique():
        own = scans == scan
        order[:, own] = _posterior(-_SHARE * SHARPNESS * filled[:, own])
    return torch.softmax(-SHARPNESS * costs + order / 2, 1)


def heard(weights: Tensor) -> Tensor:
    """(L, K), which have a say worth the work, given weights (L, K); in each column one has."""
    return (weights > _UNHEARD) | (weights == weights.amax(0))


def between(speaking: Tensor, scans: Tensor) -> Tensor:
    """(L, K), true also between two labelled slices of one scan that are true in ``speaking``."""
    filled = speaking.int()
    for scan in scans.unique():
        own = filled[scans == scan]
        before, after = own.cummax(0).values, own.flip(0).cummax(0).values.flip(0)
        filled[scans == scan] = before * after
    return filled.bool()


def _posterior(likelihood: Tensor) -> Tensor:
    """Log probabilities (N, L) of a chain whose states never go back, from log likelihoods."""
    forward, backward = likelihood.clone(), torch.zeros_like(likelihood)
    for n in range(1, len(likelihood)):
        forward[n] += torch.logcumsumexp(forward[n - 1], 0)
    for n in range(len(likelihood) - 2, -1, -1):
        after = likelihood[n + 1] + backward[n + 1]
        backward[n] = torch.logcumsumexp(after.flip(0), 0).flip(0)
    return torch.log_softmax(forward + backward, 1)
