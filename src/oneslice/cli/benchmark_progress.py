"""Progress of a benchmark on stderr, with the time left."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from oneslice.evaluation.study import conduct

if TYPE_CHECKING:
    from oneslice.evaluation.results import RunFolder, Unit
    from oneslice.evaluation.study import Report, Study


def conduct_with_progress(study: Study, folder: RunFolder) -> Report:
    """Run a study; say on stderr what is resumed, what runs, and how long it will take."""
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn()
    console = Console(stderr=True, markup=False)
    bar = Progress(*columns, TimeRemainingColumn(), console=console)
    with ExitStack() as shown:
        task = bar.add_task("starting")
        counter = _Counter()

        def announce(there: int, total: int) -> None:
            shown.enter_context(bar)  # not before, so that an early error stands alone
            counter.done = there
            bar.update(task, total=total, completed=there)
            if there:
                text = f"{there} of {total} results are there already"
                bar.console.print(f"resuming in {folder.folder}: {text}", soft_wrap=True)

        def progress(unit: Unit) -> None:
            text = f"{unit.variant}, {unit.extents}, fold {unit.fold}, scan {unit.case}"
            bar.update(task, description=text, completed=counter.next())
            if not bar.console.is_terminal:  # a log file
                bar.console.print(
                    f"{counter.done} of {bar.tasks[task].total:.0f}: {text}", soft_wrap=True
                )

        report = conduct(study, folder, sys.argv, announce, progress)
        bar.update(task, description="done", completed=counter.done)
        return report


class _Counter:
    """How many results were done when one begins."""

    done = 0

    def next(self) -> int:
        self.done += 1
        return self.done - 1
