"""Runs methods over folds, case by case, and keeps every result."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from oneslice.evaluation.datasets import Case, Dataset, LabelledStack
from oneslice.evaluation.memory import PeakMemory
from oneslice.evaluation.methods.base import Method, Request
from oneslice.evaluation.metrics import check_tolerance
from oneslice.evaluation.plan import Extents, Plan, plan
from oneslice.evaluation.protocol import Fold
from oneslice.evaluation.results import CaseResult, RunFolder, Unit
from oneslice.evaluation.scoring import score, with_given
from oneslice.formats import write_label_map
from oneslice.geometry import Array
from oneslice.volume import LabelMap

_SCANS_KEPT = 3


@dataclass(frozen=True)
class Variant:
    """A row of the table.

    Args:
        label: its title.
        method: what segments.
        shots: labelled slices.
        within: whether they are of the query scan itself instead of the support scan.
    """

    label: str
    method: Method
    shots: int
    within: bool = False


@dataclass(frozen=True)
class Run:
    """What to do.

    Args:
        dataset: the scans.
        folds: those to run.
        variants: the rows.
        extents: what the methods are told.
        tolerance: of NSD, mm.
        limit: the most query scans of each fold; None: all.
        predictions: whether to write the predicted label maps.

    Raises:
        InputError: the tolerance is not positive and finite.

    """

    dataset: Dataset
    folds: Sequence[Fold]
    variants: Sequence[Variant]
    extents: Sequence[Extents]
    tolerance: float
    limit: int | None = None
    predictions: bool = False

    def __post_init__(self) -> None:
        check_tolerance(self.tolerance)

    def cases(self) -> Iterator[tuple[Fold, str]]:
        """The query scans, fold by fold."""
        for fold in self.folds:
            for position in fold.queries[: self.limit]:
                yield fold, self.dataset.identities[position]

    def units(self, fold: Fold, case: str, variant: Variant) -> list[Unit]:
        """The work for one variant on one scan."""
        support = case if variant.within else self.dataset.identities[fold.support]
        return [
            Unit(variant.label, extents, fold.number, case, support) for extents in self.extents
        ]

    def all_units(self) -> list[Unit]:
        """All of it, in order."""
        return [
            unit
            for fold, case in self.cases()
            for variant in self.variants
            for unit in self.units(fold, case, variant)
        ]


Progress = Callable[[Unit], None]


def execute(run: Run, folder: RunFolder, progress: Progress) -> Iterator[CaseResult]:
    """Every result of a run, those of an earlier start included.

    Args:
        run: what to do.
        folder: where results are kept and found.
        progress: called when a unit begins that must be computed.

    """
    scans = _Scans(run.dataset)
    for fold, case in run.cases():
        for variant in run.variants:
            missing = []
            for unit in run.units(fold, case, variant):
                known = folder.load(unit)
                if known is None or (run.predictions and not folder.prediction(unit).exists()):
                    missing.append(unit)
                else:
                    yield known
            if missing:
                yield from _compute(run, folder, scans, variant, missing, progress)


def _compute(
    run: Run,
    folder: RunFolder,
    scans: _Scans,
    variant: Variant,
    units: list[Unit],
    progress: Progress,
) -> Iterator[CaseResult]:
    """Run one variant on one scan; a method that ignores extents is run once."""
    query, support = scans[units[0].case], scans[units[0].support]
    outputs: tuple[dict[str, Array], float, float | None] | None = None
    for unit in units:
        progress(unit)
        plans = plan(run.dataset.structures, query, support, variant.shots, unit.extents)
        if variant.method.uses_extent:
            outputs = _segment(variant.method, query, support, plans)
        elif outputs is None:
            whole = plan(run.dataset.structures, query, support, variant.shots, Extents.UNKNOWN)
            outputs = _segment(variant.method, query, support, whole)
        masks, seconds, peak = outputs
        empty = np.zeros(query.labels.shape, bool)
        scores = [score(p, masks.get(p.structure.name, empty), query, run.tolerance) for p in plans]
        result = CaseResult(unit, tuple(scores), seconds, peak)
        if run.predictions:
            _write(folder, unit, plans, masks, query)
        folder.save(result)
        yield result


def _segment(
    method: Method, query: LabelledStack, support: LabelledStack, plans: list[Plan]
) -> tuple[dict[str, Array], float, float | None]:
    """Masks by structure name, seconds, and peak memory."""
    requests: list[Request] = [p.request for p in plans if p.request is not None]
    start = time.perf_counter()
    with PeakMemory() as memory:
        masks = method.segment(query.stack, support.stack, requests) if requests else []
    seconds = time.perf_counter() - start
    by_name = {r.structure.name: mask for r, mask in zip(requests, masks, strict=True)}
    return by_name, round(seconds, 3), memory.mib


def _write(
    folder: RunFolder,
    unit: Unit,
    plans: list[Plan],
    masks: dict[str, Array],
    query: LabelledStack,
) -> None:
    """Write one label map, what was given included; where structures overlap the later one is seen.

    Only the slices that were asked for count.
    """
    labels = np.zeros(query.labels.shape, np.uint16)
    for item in plans:
        found = np.zeros(query.labels.shape, bool)
        if item.request is not None:
            chosen = list(item.request.slices)
            found[chosen] = masks[item.structure.name][chosen]
        labels[with_given(item, found, query)] = item.structure.value
    volume = query.stack.volume
    structures = tuple(item.structure for item in plans)
    label_map = LabelMap(query.stack.view.to_array(labels), volume.geometry, structures)
    write_label_map(label_map, folder.prediction(unit), overwrite=True)


class _Scans:
    """Scans read when needed; the last few are kept."""

    def __init__(self, dataset: Dataset) -> None:
        self._cases = dataset.cases
        self._kept: OrderedDict[str, LabelledStack] = OrderedDict()

    def __getitem__(self, identity: str) -> LabelledStack:
        if identity not in self._kept:
            case: Case = self._cases[identity]
            self._kept[identity] = case.load()
        self._kept.move_to_end(identity)
        while len(self._kept) > _SCANS_KEPT:
            self._kept.popitem(last=False)
        return self._kept[identity]
