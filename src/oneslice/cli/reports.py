"""What ``oneslice segment`` tells of its scans: how far it is, what was written, what failed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from oneslice.cli.output import exit_if_failed, print_table
from oneslice.errors import InputError

if TYPE_CHECKING:
    from oneslice.batch import CaseReport, Reading
    from oneslice.jobs import Job
    from oneslice.segmenter import Segmenter
    from oneslice.support import Support


def run_with_progress(
    segmenter: Segmenter,
    jobs: Sequence[Job],
    supports: Sequence[Support],
    reading: Reading,
    overwrite: bool,
    skip_existing: bool,
) -> Iterator[CaseReport]:
    """Segment the scans behind progress bars; line by line where there is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    from oneslice.batch import run_jobs

    name, console = TextColumn("{task.description}", markup=False), Console(stderr=True)
    with Progress(name, BarColumn(), MofNCompleteColumn(), TimeLeft(), console=console) as bars:
        scans = bars.add_task("scans", total=len(jobs))
        slices = bars.add_task("slices", total=None)

        def show(job: Job, done: int, total: int) -> None:
            bars.update(slices, description=job.scan.name, completed=done, total=total)

        found = run_jobs(
            segmenter,
            jobs,
            supports,
            reading=reading,
            overwrite=overwrite,
            skip_existing=skip_existing,
            progress=show,
        )
        for number, report in enumerate(found, start=1):
            bars.advance(scans)
            if not console.is_terminal and len(jobs) > 1:
                state = "failed" if report.error else f"{report.seconds:.1f} s"
                typer.echo(f"{number} of {len(jobs)}: {report.scan}, {state}", err=True)
            yield report


def print_reports(reports: Sequence[CaseReport], out: Path, as_json: bool) -> None:
    """Print what was written, as a table or as JSON."""
    from oneslice.tabular import Table

    if as_json:
        typer.echo(json.dumps([report.as_json() for report in reports], indent=1))
        return
    done = [report for report in reports if report.error is None]
    if done:
        header = "file", "seconds", *(f"{name} (ml)" for name in done[0].volumes), "least certain"
        rows = tuple(_row(report, out) for report in done)
        print_table(Table(f"written to {out}", header, rows))


def _row(report: CaseReport, out: Path) -> tuple[str, ...]:
    target = report.target
    name = target.name if target == out else str(target.relative_to(out))
    volumes = (f"{v:.1f}" if v >= 10 else f"{v:.3g}" for v in report.volumes.values())
    doubt = str(report.doubts[0]) if report.doubts else ""
    return name, f"{report.seconds:.1f}", *volumes, doubt


def exit_with(reports: Sequence[CaseReport]) -> None:
    """Say what failed, and leave with the exit code that tells.

    Raises:
        InputError: the only scan failed.
    """
    failed = {str(report.scan): report.error for report in reports if report.error is not None}
    if failed and len(reports) == 1:
        raise InputError(*failed.values())
    exit_if_failed(failed, len(reports), "scans")
