"""``oneslice`` itself: its version, what the bare command says, and how it stops."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from oneslice import __version__
from tests.cli.command import oneslice


def test_the_version():
    done = oneslice("--version")
    assert (done.code, done.out, done.err) == (0, f"oneslice {__version__}\n", "")


def test_the_help_says_what_it_is_for_and_how_to_ask_the_version():
    shown = oneslice("--help").out
    assert "Label one slice of one scan" in shown and "--version" in shown
    assert "segment" in shown and "doctor" in shown
    assert oneslice("--nonsense").code == 2


def test_a_program_that_is_told_to_stop_leaves_nothing(tmp_path):
    """The command line's handler lets the clean-up run before the process ends."""
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from oneslice.cli import main\n"
        "from oneslice.formats import atomic_path\n"
        "sys.argv = ['oneslice', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "with atomic_path(Path('out.json'), overwrite=False) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True)
    assert done.returncode == 143 and not any(tmp_path.iterdir())


def test_a_name_that_no_file_can_have():
    done = oneslice("evaluate", "x" * 300, "references")
    assert (done.code, done.out) == (2, "")
    assert done.err == f"oneslice: {'x' * 300}: {os.strerror(errno.ENAMETOOLONG)}\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk():
    code = "import sys; from oneslice.cli import main; sys.argv = ['oneslice', 'doctor']; main()"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == f"oneslice: {os.strerror(errno.ENOSPC)}"
