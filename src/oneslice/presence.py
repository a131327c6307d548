"""Where structures begin and end in a scan that was segmented throughout.

Past an organ's end, registration finds no place where its surroundings fit, and the network and
the registered mask no longer agree. Both are compared with the slices of the same scan on which
they do best, so that neither the modality nor the checkpoint matters. Where the masks agree well,
nothing else is asked: beside its own labelled slice no other slice of a scan does as well.
"""

from __future__ import annotations

import numpy as np

from oneslice.geometry import Array

_BEST = 3  # slices that set the standard
_AGREEMENT, _COST, _BIAS = 5.6, 41.0, 3.0  # of the evidence; docs/results.md says where from
_AGREED, _SURE = 0.5, 12.0  # agreement from which on a structure is there, and how surely
_CHANGE = 1.0  # evidence that it takes to begin or to end


def evidence(agreement: Array, cost: Array) -> Array:
    """Log odds (N, K) that a structure is on a slice.

    Args:
        agreement: (N, K) of the network with the registered masks, 0 to 1.
        cost: (N, K) of the registration around each structure.
    """
    best = min(_BEST, len(cost))
    agreed = np.sort(agreement, 0)[-best:].mean(0)
    cheapest = np.sort(cost, 0)[:best].mean(0)
    beside = _AGREEMENT * (agreement - agreed) + _COST * (cheapest - cost) + _BIAS
    return np.maximum(beside, _SURE * (agreement - _AGREED))


def stretches(odds: Array) -> Array:
    """(N, K): on which slices each structure is, given log odds (N, K).

    The most likely sequence of "there" and "not there" (Viterbi), in which each change costs.
    """
    count, width = odds.shape
    score = np.stack([np.zeros(width), odds[0]])  # of the best sequence that ends in each state
    came_from = np.zeros((count, 2, width), int)
    for n in range(1, count):
        change = score[::-1] - _CHANGE
        came_from[n] = np.where(change > score, [[1], [0]], [[0], [1]])
        score = np.maximum(score, change) + np.stack([np.zeros(width), odds[n]])
    state = score.argmax(0)
    found = np.zeros((count, width), bool)
    for n in range(count - 1, -1, -1):
        found[n] = state
        state = came_from[n][state, np.arange(width)]
    return found


def reach(odds: Array) -> int:
    """How many slices a structure reaches beyond a labelled one, given log odds (n,) outward.

    There is one end; the evidence before it and against what comes after is largest altogether.
    """
    return int(np.append(0.0, np.cumsum(odds)).argmax())
