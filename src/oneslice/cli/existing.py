"""What ``oneslice segment`` does about results that are there already."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from oneslice.jobs import Job
    from oneslice.settings import Settings
    from oneslice.support import Support


def without_done(
    jobs: Sequence[Job],
    overwrite: bool,
    supports: Sequence[Support],
    settings: Settings,
    model: str,
) -> list[Job]:
    """The jobs that are left to do; how many are done, and what was made otherwise, is printed.

    With ``overwrite`` results that were made otherwise are left to do as well.

    Raises:
        ModelError: some are done, and the model to compare with is not on this machine.
    """
    from oneslice.existing import Making, is_done, made_otherwise
    from oneslice.sam2.locate import locate
    from oneslice.sam2.weights_file import file_hash

    done = [job for job in jobs if is_done(job)]
    if not done:
        return [*jobs]
    making = Making(supports, settings, file_hash(locate(model).weights))
    otherwise = {job: what for job in done if (what := made_otherwise(job, making))}
    kept = [job for job in done if not (overwrite and job in otherwise)]
    if kept:
        typer.echo(f"{len(kept)} of {len(jobs)} scans are done already", err=True)
    if otherwise and not overwrite:
        example, what = next(iter(otherwise.items()))
        typer.echo(
            f"{len(otherwise)} of these were made otherwise ({example.target}: other "
            f"{', '.join(what)}); add --overwrite to segment those again",
            err=True,
        )
    return [job for job in jobs if job not in kept]


def refuse_if_all_exist(jobs: Sequence[Job], overwrite: bool) -> None:
    """Say so at once, before the model is loaded, if there is nothing left to do."""
    from oneslice.existing import refuse_existing

    with suppress(OSError):  # a name that is too long is reported when its turn comes
        if not overwrite and all(job.target.exists() for job in jobs):
            refuse_existing(jobs[0], overwrite)
