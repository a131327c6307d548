"""The command line: one module per command; heavy imports wait until a command runs."""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from typing import Annotated, Any

import typer

from oneslice import __version__
from oneslice.cli import benchmark, doctor, evaluate, models, segment
from oneslice.errors import OneSliceError, OneSliceWarning

_python_tells = warnings.showwarning

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Label one slice of one scan; SAM 2 segments the rest of the study, without training.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"oneslice {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """What every command shares."""


app.command("segment")(segment.segment)
app.command("evaluate")(evaluate.evaluate)
app.command("benchmark")(benchmark.benchmark)
app.add_typer(models.app, name="models")
app.command("doctor")(doctor.doctor)


def _tell(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """Show a warning: in one line if it is ours, else as Python does."""
    if issubclass(category, OneSliceWarning):
        typer.echo(f"oneslice: {message}", err=True)
    else:
        _python_tells(message, category, *where, **more)


def main() -> None:
    """Run the command line; an error of its user or system is one line on stderr, exit code 2."""
    # Before torch is imported: threads that wait sleep, for on a busy machine spinning ones keep
    # the one they wait for from running (docs/performance.md).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing half-written stays
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names that the terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = _tell
    try:
        app()
    except OneSliceError as error:
        typer.echo(f"oneslice: {error}", err=True)
        sys.exit(2)
    except OSError as error:  # a name too long, a full disk, a folder that vanished
        named = f"{error.filename}: " if error.filename else ""
        typer.echo(f"oneslice: {named}{error.strerror or error}", err=True)
        sys.exit(2)
