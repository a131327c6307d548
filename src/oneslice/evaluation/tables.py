"""Tables of a benchmark, ours beside the published rows, with what is not comparable said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from oneslice.evaluation.datasets import Benchmark
from oneslice.evaluation.literature import PUBLISHED, Published
from oneslice.evaluation.plan import Extents
from oneslice.evaluation.results import CaseResult
from oneslice.evaluation.summary import StructureSummary, VariantSummary
from oneslice.tabular import Table, as_csv

_NONE = "-"
_TITLES = {
    Extents.KNOWN: "Dice x 100, extent of each structure known (the field's protocol)",
    Extents.UNKNOWN: "Dice x 100, whole volume (what a user gets)",
}
_NOT_COMPARABLE = (
    "Numbered rows are published means over all five folds of the complete data set, with "
    "checkpoints of 39 million parameters or more; only rows of one run compare as they stand."
)


def dice_table(
    summaries: Sequence[VariantSummary],
    extents: Extents,
    benchmark: Benchmark | None,
    notes: Sequence[str],
) -> Table:
    """Mean Dice x 100 by structure, with the spread over scans.

    Args:
        summaries: all of them; those of another setting are left out.
        extents: the setting.
        benchmark: whose published rows to add, None for none.
        notes: below the table.

    """
    ours = [s for s in summaries if s.extents is extents]
    names = [s.structure for s in ours[0].structures]
    rows = [(s.variant, *map(_dice, s.structures), _hundredfold(s.dice)) for s in ours]
    published = (
        [(p, p.dice[benchmark]) for p in PUBLISHED if benchmark in p.dice] if benchmark else []
    )
    for number, (row, mean) in enumerate(published, 1):
        rows.append((f"{row.method} [{number}]", *[_NONE] * len(names), f"{mean:.1f}"))
    marks = [f"[{number}] {_note(row)}." for number, (row, _) in enumerate(published, 1)]
    if published:
        marks.insert(0, _NOT_COMPARABLE)
    return Table(_TITLES[extents], ("method", *names, "mean"), tuple(rows), (*notes, *marks))


def _dice(summary: StructureSummary) -> str:
    if summary.dice is None:
        return _NONE
    spread = "" if summary.spread is None else f" ± {100 * summary.spread:.1f}"
    return f"{100 * summary.dice:.1f}{spread}"


def _hundredfold(value: float | None) -> str:
    return _NONE if value is None else f"{100 * value:.1f}"


def _note(row: Published) -> str:
    return "; ".join((f"{row.source}; {row.setting}", *row.caveats))


def further_table(summaries: Sequence[VariantSummary], extents: Extents, tolerance: float) -> Table:
    """Distances, missed structures, false positives beyond the ends, time and memory."""
    header = ("method", "HD95", "ASSD", "NSD", "missed", "beyond", "seconds", "MiB")
    rows = tuple(_further(s) for s in summaries if s.extents is extents)
    notes = (
        f"Means over scans, then structures: HD95 and ASSD in mm, NSD x 100 at {tolerance:g} mm, "
        "ml predicted beyond the structure's ends. HD95 and ASSD over scans that "
        "show the structure and in which it was found; 'missed' counts those in which it was not.",
        "Seconds per scan and the process's peak memory; rows of one run share encoded slices: "
        "time a method in a run of its own.",
    )
    return Table(f"Further figures, {extents.value}", header, rows, notes)


def _further(summary: VariantSummary) -> tuple[str, ...]:
    return (
        summary.variant,
        _number(summary.mean(lambda s: s.hd95.value)),
        _number(summary.mean(lambda s: s.assd.value)),
        _hundredfold(summary.mean(lambda s: s.nsd.value)),
        str(sum(s.missed for s in summary.structures)),
        _number(summary.mean(lambda s: s.outside_ml.value)),
        _number(summary.seconds),
        _NONE if summary.peak_mib is None else f"{summary.peak_mib:.0f}",
    )


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.1f}"


def cases_csv(results: Sequence[CaseResult]) -> str:
    """Every figure of every structure of every case."""
    return as_csv(
        [
            {**asdict(result.unit), **asdict(score), "seconds": result.seconds}
            for result in results
            for score in result.scores
        ]
    )
