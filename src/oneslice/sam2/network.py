"""Build the network of a configuration and fill in its weights, all of them or none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from oneslice.errors import ModelError, first_line

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import Sam2VideoConfig, Sam2VideoModel


def build_network(
    config: Sam2VideoConfig, weights: Mapping[str, Tensor], path: Path
) -> Sam2VideoModel:
    """A ``Sam2VideoModel`` with exactly these weights; the random state is left as it was.

    Raises:
        ModelError: the configuration describes no network, or a weight is missing, unknown
            or of another shape; it names ``path``.
    """
    import torch
    from transformers import Sam2VideoModel

    try:
        with torch.random.fork_rng(devices=[]):
            model = Sam2VideoModel(config)
    except Exception as error:  # whatever an impossible architecture makes the library raise
        raise ModelError(
            f"{path} describes a network that cannot be built ({first_line(error)}): pass a "
            "complete SAM 2 checkpoint"
        ) from error
    _require_fit(model.state_dict(), weights, path)
    model.load_state_dict(weights, strict=True)
    return model


def _require_fit(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], path: Path) -> None:
    shared = wanted.keys() & given.keys()
    faults = {
        "missing": wanted.keys() - given.keys(),
        "unknown": given.keys() - wanted.keys(),
        "of another shape": {key for key in shared if wanted[key].shape != given[key].shape},
    }
    found = [f"{len(keys)} {what} ({min(keys)})" for what, keys in faults.items() if keys]
    if found:
        raise ModelError(
            f"{path} does not fit the SAM 2 architecture it claims, weights are "
            f"{', '.join(found)}: pass a complete SAM 2 checkpoint"
        )
