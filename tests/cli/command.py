"""Run the command line inside the test's process, as a shell would see it."""

import contextlib
import io
import sys
from dataclasses import dataclass
from unittest import mock

from oneslice.cli import main


@dataclass
class Outcome:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def oneslice(*arguments) -> Outcome:
    """Run ``oneslice ARGUMENTS``."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch.object(sys, "argv", ["oneslice", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Outcome(code, out.getvalue(), err.getvalue())
