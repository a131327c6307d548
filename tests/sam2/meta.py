"""Meta's own code as the reference: whether it is there, and what equal to it means."""

import pytest
import torch


def require_meta() -> None:
    """Skip the calling test, or module, where Meta's package is not installed."""
    pytest.importorskip("sam2", reason="Meta's sam2 package is not installed: run `make test`")


def relative_error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Root mean square of the difference, in that of the reference.

    Not the largest difference: that is the rounding of one pixel of thousands, and varies
    several-fold between processors.
    """
    return float((ours - theirs).norm() / theirs.norm())


ROUNDING = 1e-4
"""What float32 may leave as ``relative_error``; the two `Behaviour`s lie at least 4e-4 apart."""
