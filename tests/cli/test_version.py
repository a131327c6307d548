"""``oneslice --version`` and what the bare command says."""

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
