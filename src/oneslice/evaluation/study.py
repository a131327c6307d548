"""A whole benchmark: run it, summarise it, write it down."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import oneslice
from oneslice.evaluation.datasets import Benchmark, Case
from oneslice.evaluation.datasets.catalogue import DESCRIPTIONS
from oneslice.evaluation.plan import Extents
from oneslice.evaluation.plots import plot, require_matplotlib
from oneslice.evaluation.results import CaseResult, RunFolder, RunSettings, Unit
from oneslice.evaluation.runner import Run, execute
from oneslice.evaluation.summary import VariantSummary, summarise, unscored
from oneslice.evaluation.tables import cases_csv, dice_table, further_table
from oneslice.evaluation.variants import Rows
from oneslice.provenance import data_hash, versions
from oneslice.tabular import Table


@dataclass(frozen=True)
class Study:
    """What to measure.

    Args:
        title: of the report.
        run: the work.
        rows: the rows that the run's variants make.
        benchmark: whose published rows to print; None for none.
        comparable: whether the rows follow the published setting of three labelled slices.
    """

    title: str
    run: Run
    rows: Rows
    benchmark: Benchmark | None = None
    comparable: bool = True


@dataclass(frozen=True)
class Report:
    """What was measured, and the files that hold it."""

    tables: tuple[Table, ...]
    summaries: tuple[VariantSummary, ...]
    files: tuple[Path, ...]

    def as_json(self) -> list[dict[str, Any]]:
        """The figures of each row, ready for JSON."""
        return [asdict(summary) | {"dice": summary.dice} for summary in self.summaries]


def conduct(
    study: Study,
    folder: RunFolder,
    command: Sequence[str],
    announce: Callable[[int, int], None],
    progress: Callable[[Unit], None],
) -> Report:
    """Run what is missing, then write tables, figures, and a plot where there is one.

    Args:
        study: what to measure.
        folder: where.
        command: how it was called, for the manifest.
        announce: called once with (results already there, results in all).
        progress: called when a result begins to be computed.

    Raises:
        InputError: the folder holds a run with other settings, something cannot be read, or there
            is something to plot and nothing to plot it with.

    """
    if study.rows.axis:
        require_matplotlib()
    folder.begin(_settings(study), {"command": list(command), "versions": versions()})
    units = study.run.all_units()
    announce(sum(folder.load(unit) is not None for unit in units), len(units))
    results = list(execute(study.run, folder, progress))
    return _report(study, folder, results)


def _settings(study: Study) -> RunSettings:
    run = study.run
    identities = {unit.case for unit in run.all_units()} | {u.support for u in run.all_units()}
    cases: list[Case] = [run.dataset.cases[identity] for identity in sorted(identities)]
    variants = {
        v.label: {"method": v.method.name, "shots": v.shots, "within": v.within}
        | v.method.describe()
        for v in run.variants
    }
    return json.loads(
        json.dumps(
            {
                "run": {
                    "dataset": run.dataset.name,
                    "layout": run.dataset.layout,
                    "folds": len(run.dataset.folds),
                    "structures": [[s.value, s.name] for s in run.dataset.structures],
                    "tolerance": run.tolerance,
                },
                "methods": variants,
                "data": {f"scan {case.identity}": data_hash(case.files) for case in cases},
            }
        )
    )


def _report(study: Study, folder: RunFolder, results: Sequence[CaseResult]) -> Report:
    run = study.run
    names = [structure.name for structure in run.dataset.structures]
    summaries = summarise(results, names)
    benchmark = study.benchmark if study.comparable else None
    tables = []
    for extents in run.extents:
        notes = _notes(study, [result for result in results if result.unit.extents is extents])
        published = benchmark if extents is Extents.KNOWN else None
        tables.append(dice_table(summaries, extents, published, notes))
        tables.append(further_table(summaries, extents, run.tolerance))
    text = f"## {study.title}\n\n" + "\n".join(table.markdown() for table in tables)
    files = [
        folder.write("table.md", text),
        folder.write("cases.csv", cases_csv(results)),
        folder.write("summary.json", _as_text([asdict(s) | {"dice": s.dice} for s in summaries])),
    ]
    if study.rows.axis:
        files.append(plot(study.rows, summaries, study.title, folder.folder / "plot.png"))
    return Report(tuple(tables), tuple(summaries), tuple(files))


def _notes(study: Study, results: Sequence[CaseResult]) -> list[str]:
    """What was run and what was left out."""
    run = study.run
    numbers = ", ".join(str(fold.number) for fold in run.folds)
    scans = len({(r.unit.fold, r.unit.case) for r in results})
    notes = [
        f"Ours: oneslice {oneslice.__version__}, folds {numbers} of {len(run.dataset.folds)}, "
        f"{scans} scans; mean over folds of means over scans, ± standard deviation over scans."
    ]
    if study.benchmark and DESCRIPTIONS[study.benchmark].note:
        notes.append(DESCRIPTIONS[study.benchmark].note)
    of_methods = dict.fromkeys(v.method.note for v in run.variants if v.method.note)
    missing = [f"Not scored: {line}." for line in unscored(results)]
    return [*notes, *of_methods, *missing, *study.rows.notes]


def _as_text(content: Any) -> str:
    return json.dumps(content, indent=1) + "\n"
