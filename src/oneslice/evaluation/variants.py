"""The rows of a table: methods, the steps of an ablation, or numbers of labelled slices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from oneslice.choices import Effort, Metric, Search, Strategy
from oneslice.errors import InputError, OfflineError
from oneslice.evaluation.choices import Ablation, MethodName
from oneslice.evaluation.methods.options import Options
from oneslice.evaluation.methods.registry import MethodMaker
from oneslice.evaluation.runner import Variant

_LABELLED_SLICES = (1, 2, 3, 5, 8)
_PER_QUERY = (0, 2, 4)
_SHOTS = (1, 3)
_SCALES = (0.5, 1, 2)
_SIZES = (64, 1024)

_OF_THE_PIPELINE = (Ablation.STRATEGY, Ablation.SEARCH, Ablation.PARTS)
_WITHOUT: dict[str, dict[str, Any]] = {
    "all": {},
    "no registration": {"search": Search.POOL},
    "no registered masks": {"carried": 0.0, "followed": 0.0},
    "no appearance": {"appearance": 0.0},
    "no neighbours": {"strategy": Strategy.PAIRWISE},
    "no completion": {"effort": Effort.FAST},
    "no following": {"outward": False},
    "no close-up": {"closeup": False},
    "every slice": {"every_slice": True},
    "two passes": {"effort": Effort.BEST},
    "no ends": {"trim": False},
}


@dataclass(frozen=True)
class Plotted:
    """Where a variant lies in a plot.

    Args:
        line: which line it belongs to.
        x: its place on the axis, a number or a name.
    """

    line: str
    x: float | str


@dataclass(frozen=True)
class Rows:
    """What to run.

    Args:
        variants: the rows.
        axis: what the plot's axis says; empty: no plot.
        places: of the variants in the plot, in their order.
        notes: what was left out and why.
    """

    variants: tuple[Variant, ...]
    axis: str = ""
    places: tuple[Plotted, ...] = ()
    notes: tuple[str, ...] = ()


def methods(
    maker: MethodMaker,
    names: Sequence[MethodName],
    options: Options,
    shots: int,
    within: bool = False,
) -> Rows:
    """One row for each method."""
    return Rows(tuple(Variant(n.value, maker.make(n, options), shots, within) for n in names))


def ablation(
    maker: MethodMaker,
    what: Ablation,
    models: Sequence[str],
    options: Options,
    shots: int,
    within: bool = False,
) -> Rows:
    """One row for each step, of ``oneslice`` where ``paper`` does not have the choice.

    Raises:
        InputError: models are to be compared and fewer than two were given.

    """
    name = MethodName.ONESLICE if what in _OF_THE_PIPELINE else MethodName.PAPER
    variants, places, notes = [], [], []
    for x, step, step_shots in _steps(maker, what, models, options, shots):
        try:
            method = maker.make(name, step)
        except OfflineError as error:
            notes.append(f"{what.value} {x} was left out: {error}")
            continue
        variants.append(Variant(f"{name.value}, {what.value} {x}", method, step_shots, within))
        places.append(Plotted(name.value, x))
    return Rows(tuple(variants), what.value, tuple(places), tuple(notes))


def _steps(
    maker: MethodMaker, what: Ablation, models: Sequence[str], options: Options, shots: int
) -> Iterator[tuple[float | str, Options, int]]:
    """(place on the axis, options, shots) of each step."""
    match what:
        case Ablation.AUGMENTATIONS:
            yield from ((n, replace(options, per_query=n), shots) for n in _PER_QUERY)
        case Ablation.METRIC:
            yield from ((m, replace(options, metric=m), shots) for m in Metric)
        case Ablation.STRATEGY:
            yield from ((s, replace(options, strategy=s), shots) for s in Strategy)
        case Ablation.SEARCH:
            yield from ((s, replace(options, search=s), shots) for s in Search)
        case Ablation.PARTS:
            yield from ((name, replace(options, **w), shots) for name, w in _WITHOUT.items())
        case Ablation.SHOTS:
            yield from ((n, options, n) for n in _SHOTS)
        case Ablation.IMAGE_SIZE:
            native = maker.native_size(options)
            yield from ((n, replace(options, image_size=n), shots) for n in _sizes(native))
        case Ablation.MODEL:
            if len(set(models)) < 2:
                raise InputError("give two different --model or more to compare models")
            yield from ((m, replace(options, model=m), shots) for m in dict.fromkeys(models))


def _sizes(native: int) -> list[int]:
    low, high = _SIZES
    return [size for size in (int(native * s) // 32 * 32 for s in _SCALES) if low <= size <= high]


def efficiency(maker: MethodMaker, names: Sequence[MethodName], options: Options) -> Rows:
    """Each method with growing numbers of labelled slices, across scans and within one."""
    variants, places = [], []
    for name in names:
        method = maker.make(name, options)
        for within in (False, True):
            line = f"{name.value}, {'same scan' if within else 'other scan'}"
            for count in _LABELLED_SLICES:
                variants.append(Variant(f"{line}, {count} labelled", method, count, within))
                places.append(Plotted(line, count))
    return Rows(tuple(variants), "labelled slices", tuple(places))
