"""``oneslice doctor``: what is installed, what is missing and how to get it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from oneslice.cli.diagnosis import Diagnosis


def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for scripts instead of tables.")
    ] = False,
) -> None:
    """Check this machine: versions, device, memory, models, folders, and what is missing.

    Exit code 1 if something that oneslice needs is missing or broken. Nothing is changed and
    nothing is sent anywhere; paste the output into a question about a problem.
    """
    from oneslice.cli.diagnosis import diagnose

    diagnosis = diagnose()
    if as_json:
        typer.echo(json.dumps(diagnosis.as_json(), indent=2))
    else:
        _print(diagnosis)
    if diagnosis.problems:
        raise typer.Exit(1)


def _print(diagnosis: Diagnosis) -> None:
    from oneslice.cli.output import print_facts

    print_facts(diagnosis.versions, "Versions")
    print_facts({**diagnosis.device, **diagnosis.memory}, "Machine")
    models = {"on this machine": diagnosis.models, "default": diagnosis.default_model}
    print_facts({**models, **diagnosis.folders}, "Models")
    for advice in diagnosis.advice:
        typer.echo(f"advice: {advice}")
    for problem in diagnosis.problems:
        typer.echo(f"problem: {problem.what}\n    fix: {problem.fix}")
    if not diagnosis.problems:
        typer.echo("Everything that oneslice needs is here.")
