"""Where structures begin and end in a scan that was segmented throughout.

Past an organ's end, registration finds no place where its surroundings fit, and the network and
the registered mask no longer agree. Both are compared with the slices of the same scan on which
they do best, so that neither the modality nor the checkpoint matters. Where the masks agree well,
nothing else is asked: beside its own labelled slice no other slice of a scan does as well. Where
two structures have the same mask, only one of them can be there. Where a structure was followed
through its own scan, registration always finds something that fits; there the network's certainty
counts, and how far the structure would reach for its width.
"""

from __future__ import annotations

import numpy as np

from oneslice.geometry import Array

_BEST = 3  # slices that set the standard
_AGREEMENT, _COST, _BIAS = 5.6, 41.0, 3.5  # of the evidence; docs/tried.md says where from
_AGREED, _SURE = 0.5, 12.0  # agreement from which on a structure is there, and how surely
_FOLLOWED, _SEEN, _AWAY, _START = 5.0, 3.0, 1.25, 5.0  # the same for structures followed
_SPREAD, _WIDE, _LONG = 1.5, 0.5, 3.0  # less where labels are spread; radii fully so, and too far
_STRONG = 2.0  # power of the evidence: few slices that are certain outweigh many that are not
_BEYOND, _FAR = 2.0, 1.5  # cost of a radius beyond the expected height; radii that count
_SAME = 0.75  # of the larger of two masks in both, from which on they are of one thing
_FARTHEST = 2.0  # radii from which on distance says no more: long structures have no end in sight


def evidence(agreement: Array, cost: Array, among: Array | None = None) -> Array:
    """Log odds (N, K) that a structure is on a slice.

    Args:
        agreement: (N, K) of the network with the registered masks, 0 to 1.
        cost: (N, K) of the registration around each structure.
        among: (N, K), on which slices the best are sought that all are compared with; where there
            are none, as without it, on all.
    """
    beside = _AGREEMENT * _short(agreement, among) + _COST * _short(-cost, among) + _BIAS
    return np.maximum(beside, _SURE * (agreement - _AGREED))


def evidence_followed(agreement: Array, seen: Array, away: Array, apart: float = 0.0) -> Array:
    """Log odds (n,) that a structure is on slices to which it was followed in its own scan.

    Args:
        agreement: (n,) of what was found with the registered labelled slice, 0 to 1.
        seen: (n,), the network's probability that it is there, times the predicted IoU.
        away: (n,), how far from the middle of what is labelled, in radii of the structure.
        apart: from one labelled slice to the next, in radii; 0 if there is one. Where they are
            spread, most of the structure lies between them, and little beyond; of one that is much
            longer than wide that does not tell the end.
    """
    beside = _FOLLOWED * _short(agreement) + _SEEN * _short(seen)
    spread = min(1.0, apart / _WIDE) if apart < _LONG else 0.0
    start = _START - _SPREAD * spread
    return beside - _AWAY * np.minimum(away, _FARTHEST) + start


def unless_beyond(odds: Array, beyond: Array) -> Array:
    """Log odds (N, K), less where slices are ``beyond`` (N, K) the expected heights, in radii."""
    return odds - _BEYOND * np.minimum(beyond, _FAR)


def unless_rivalled(odds: Array, shared: Array) -> Array:
    """Log odds (N, K), less where another structure that may be there has the same mask.

    One of both is wrong: what speaks for the one with more evidence speaks against the other.

    Args:
        odds: (N, K), log odds that a structure is on a slice.
        shared: (N, K, K), how much of the larger of two masks is in both; 0 for one and itself.
    """
    rivals = np.where(shared > _SAME, odds[:, None], 0).max(2, initial=0)
    return np.where(odds > rivals, odds, odds - rivals)


def _short(values: Array, among: Array | None = None) -> Array:
    """How much values (N, ...) fall short of the mean of the best slices ``among`` them."""
    if among is None:
        among = np.ones(values.shape, bool)
    eligible = np.where(among | ~among.any(0), values, np.nan)
    return values - np.nanmean(-np.sort(-eligible, 0)[:_BEST], 0)


def stretches(odds: Array) -> Array:
    """(N, K): on which slices each structure is, given log odds (N, K).

    Each is on one stretch of at least one slice, that with the most evidence altogether. Slices
    beside each other err together, so that their evidence is not simply added up.
    """
    found = np.zeros(odds.shape, bool)
    weighed = np.where(odds > 0, np.abs(odds) ** _STRONG, odds)
    for structure, total in enumerate(np.cumsum(weighed, 0).T):
        total = np.append(0.0, total)
        end = int((total[1:] - np.minimum.accumulate(total)[:-1]).argmax()) + 1
        found[total[:end].argmin() : end, structure] = True
    return found


def reach(odds: Array) -> int:
    """How many slices a structure reaches beyond a labelled one, given log odds (n,) outward.

    There is one end; the evidence before it and against what comes after is largest altogether.
    """
    return int(np.append(0.0, np.cumsum(odds)).argmax())
