"""Whether Meta's own code is there to compare with."""

import pytest


def require_meta() -> None:
    """Skip the calling test, or module, where Meta's package is not installed."""
    pytest.importorskip("sam2", reason="Meta's sam2 package is not installed: run `make test`")
