"""A second pass: slices that were segmented badly are followed from those that went well.

In another patient registration does well on some slices and badly on others, which shows where the
network and the registered masks do not agree. From the good ones the rest of the scan is followed
as if they had been labelled; elsewhere the mean of both passes is taken. A structure that went well
nowhere stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from oneslice.crop import Crop
from oneslice.fusion import fuse
from oneslice.geometry import Array
from oneslice.presence import evidence
from oneslice.propagation import SlicePrediction
from oneslice.volume import Structure

_TRUSTED = 1 / 3  # of the slices on which a structure was found
_AGREED = 0.5  # agreement below which a slice is not trusted, however bad the others are
_PLAUSIBLE = -4.0  # logits down to this can still become positive

Follow = Callable[[Mapping[int, Array]], Iterator[SlicePrediction]]


@dataclass(frozen=True)
class _Kept:
    """A result with its logits in little memory."""

    result: SlicePrediction
    crops: tuple[Crop, ...]

    @classmethod
    def of(cls, result: SlicePrediction) -> _Kept:
        crops = tuple(Crop.of(logits, _PLAUSIBLE) for logits in result.logits)
        return cls(replace(result, logits=result.logits[:0]), crops)

    def logits(self) -> Tensor:
        return torch.stack([crop.restore() for crop in self.crops])


def second_pass(
    first: Iterable[SlicePrediction],
    structures: Sequence[Structure],
    follow: Follow,
    tick: Callable[[], None],
) -> Iterator[SlicePrediction]:
    """The results of a first pass, bettered.

    Args:
        first: of a scan's slices, with agreement.
        structures: the K structures.
        follow: segments the scan from labels (rows, columns) of some of its slices.
        tick: called for each result of the first pass.
    """
    kept, labels, found = {}, {}, []
    for result in first:
        index = result.index
        kept[index], (labels[index], _) = _Kept.of(result), fuse(result.logits, structures)
        found.append([bool((labels[index] == s.value).any()) for s in structures])
        tick()
    agreement = np.array([each.result.agreement for each in kept.values()])
    cost = np.array([each.result.match.distance for each in kept.values()])
    sure = trusted(agreement, cost, np.array(found))
    good, stays = dict(zip(kept, sure, strict=True)), ~sure.any(0)
    values = np.array([s.value for s in structures])
    given = {n: labels[n] * np.isin(labels[n], values[good[n]]) for n in kept if good[n].any()}
    del labels
    followed = follow(given) if given else iter(())
    for other in followed:
        if mine := kept.pop(other.index, None):
            logits = mine.logits()
            mixed = torch.logit((logits.sigmoid() + other.logits.sigmoid()) / 2, eps=1e-6)
            keep = torch.from_numpy(good[other.index] | stays)[:, None, None]
            yield replace(mine.result, logits=torch.where(keep, logits, mixed))
    for rest in kept.values():
        yield replace(rest.result, logits=rest.logits())


def trusted(agreement: Array, cost: Array, found: Array) -> Array:
    """(N, K), the slices on which each structure was segmented best.

    Args:
        agreement: (N, K) of the network with the registered masks, 0 to 1.
        cost: (N, K) of the registration around each structure.
        found: (N, K), whether anything was.
    """
    odds = np.where(found, evidence(agreement, cost), -np.inf)
    place = (-odds).argsort(0, kind="stable").argsort(0)
    return found & (agreement >= _AGREED) & (place < np.ceil(_TRUSTED * found.sum(0)))
