"""Settings that every test shares."""

import os

import pytest

# Two threads that wait for each other are slow on a busy machine; small networks need but one.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def segmenter():
    """The shipped checkpoint with the default settings."""
    from oneslice.segmenter import Segmenter

    return Segmenter("mini", "cpu")
