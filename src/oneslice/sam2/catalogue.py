"""Which models there are, which of them lie on this machine, and which one is used by default."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from oneslice import config
from oneslice.errors import ModelError
from oneslice.sam2 import hub
from oneslice.sam2.locate import locate
from oneslice.sam2.registry import MINI, MINI_FOLDER, MINI_PARAMETERS, OFFICIAL_MODELS


@dataclass(frozen=True)
class CatalogueEntry:
    """A model in the catalogue.

    Args:
        name: what to pass as the model.
        parameters: the number of weights, where it is known without reading them.
        path: where it lies on this machine, or None if it is not here.
        is_default: whether it is the model used where none is named.
    """

    name: str
    parameters: int | None
    path: Path | None
    is_default: bool


def model_in_use() -> str:
    """The model used where none is named: the user's choice, or ``mini``."""
    return config.default_model() or MINI


def catalogue() -> list[CatalogueEntry]:
    """Every named model, then the user's own one if that is the default."""
    default = model_in_use()
    entries = [CatalogueEntry(MINI, MINI_PARAMETERS, MINI_FOLDER, default == MINI)]
    entries += [
        CatalogueEntry(
            model.name, model.parameters, hub.cached_folder(model), default == model.name
        )
        for model in OFFICIAL_MODELS
    ]
    if not any(entry.is_default for entry in entries):
        entries.append(CatalogueEntry(default, None, _own_path(default), True))
    return entries


def _own_path(name: str) -> Path | None:
    try:
        return locate(name).path
    except ModelError:
        return None
