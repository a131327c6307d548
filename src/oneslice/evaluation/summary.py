"""From the results of all cases to the figures of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from oneslice.evaluation.metrics import Mean
from oneslice.evaluation.plan import Extents, Status
from oneslice.evaluation.protocol import mean_over_folds
from oneslice.evaluation.results import CaseResult
from oneslice.evaluation.scoring import Score


@dataclass(frozen=True)
class StructureSummary:
    """One structure under one variant.

    Args:
        structure: its name.
        dice: mean over folds of means over scans.
        spread: standard deviation of Dice over all scans, None for fewer than two.
        hd95, assd, nsd: means over the scans in which they are defined.
        missed: scans that show the structure and in which nothing was found.
        outside_ml: mean volume predicted beyond the structure's ends.
        scans: how many were scored.
    """

    structure: str
    dice: float | None
    spread: float | None
    hd95: Mean
    assd: Mean
    nsd: Mean
    missed: int
    outside_ml: Mean
    scans: int


@dataclass(frozen=True)
class VariantSummary:
    """One row of a table.

    Args:
        variant: its title.
        extents: what the method was told.
        structures: in the data set's order.
        seconds: mean per scan.
        peak_mib: the largest of all scans.
    """

    variant: str
    extents: Extents
    structures: tuple[StructureSummary, ...]
    seconds: float
    peak_mib: float | None

    @property
    def dice(self) -> float | None:
        """The mean over structures, None unless all have one."""
        values = [s.dice for s in self.structures]
        known = [v for v in values if v is not None]
        return fmean(known) if known and len(known) == len(values) else None

    def mean(self, figure: Callable[[StructureSummary], float | None]) -> float | None:
        """The mean of another figure over the structures that have it."""
        return Mean.of(map(figure, self.structures)).value


def summarise(results: Sequence[CaseResult], structures: Sequence[str]) -> list[VariantSummary]:
    """One summary for each variant and setting, in the order of the results."""
    groups: dict[tuple[str, Extents], list[CaseResult]] = {}
    for result in results:
        groups.setdefault((result.unit.variant, result.unit.extents), []).append(result)
    return [
        VariantSummary(
            variant,
            extents,
            tuple(_structure(name, group) for name in structures),
            fmean(result.seconds for result in group),
            max((r.peak_mib for r in group if r.peak_mib is not None), default=None),
        )
        for (variant, extents), group in groups.items()
    ]


def _structure(name: str, results: Sequence[CaseResult]) -> StructureSummary:
    scored = [(r.unit.fold, s) for r in results for s in r.scores if _counts(s, name)]
    by_fold: dict[int, list[float]] = {}
    for fold, score in scored:
        if score.dice is not None:
            by_fold.setdefault(fold, []).append(score.dice)
    scores = [score for _, score in scored]
    dice = [value for values in by_fold.values() for value in values]
    return StructureSummary(
        name,
        mean_over_folds(by_fold),
        stdev(dice) if len(dice) > 1 else None,
        Mean.of(s.hd95 for s in scores),
        Mean.of(s.assd for s in scores),
        Mean.of(s.nsd for s in scores),
        sum(bool(s.reference_ml) and not s.volume_ml for s in scores),
        Mean.of(s.outside_ml for s in scores),
        len(scores),
    )


def _counts(score: Score, name: str) -> bool:
    return score.structure == name and score.status is Status.SCORED


def unscored(results: Sequence[CaseResult]) -> list[str]:
    """What was not scored and why, one line each; and in which rows, if not in all."""
    rows = dict.fromkeys(r.unit.variant for r in results)
    lines: dict[str, list[str]] = {}
    for r in results:
        for s in r.scores:
            if s.status is not Status.SCORED:
                line = f"fold {r.unit.fold}, scan {r.unit.case}: {s.structure} {s.status}"
                line += f" ({r.unit.support})" if s.status is Status.NOT_IN_SUPPORT else ""
                lines.setdefault(line, []).append(r.unit.variant)
    return [
        line if len(found) == len(rows) else f"{line}, of {'; '.join(found)}"
        for line, found in sorted(lines.items())
    ]
