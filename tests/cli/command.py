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


def segment(*scans, support="scans/p0.nii.gz", labels="labels.seg.nrrd", out="out", more=()):
    quick = () if "--search" in more else ("--search", "pool")
    quick += () if "--augmentations" in more else ("--augmentations", "2")
    options = ("--support", support, "--labels", labels, "-o", out, "--device", "cpu", *quick)
    return oneslice("segment", *scans, *options, *more)


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def refusal(done, study, *parts):
    """The one line on stderr of a command that wrote and printed nothing."""
    assert done.code == 2, done
    assert done.out == "" and not (study / "out").exists()
    *notice, line = done.err.strip().splitlines()
    assert line.startswith("oneslice: ") and "Traceback" not in done.err
    assert not any(other.startswith("oneslice:") for other in notice)
    for part in parts:
        assert part in line
    return line
