"""Label one slice of one scan; SAM 2 segments the rest of the study, without training."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oneslice.geometry import Geometry
    from oneslice.segmenter import Segmenter
    from oneslice.settings import Settings
    from oneslice.support import Support
    from oneslice.volume import LabelMap, Volume

__version__ = "0.1.0"
__all__ = ["Geometry", "LabelMap", "Segmenter", "Settings", "Support", "Volume"]

_HOMES = {
    "Geometry": "geometry",
    "LabelMap": "volume",
    "Segmenter": "segmenter",
    "Settings": "settings",
    "Support": "support",
    "Volume": "volume",
}


def __getattr__(name: str) -> Any:
    """Import the heavy parts when they are first used, so that the command line starts fast."""
    if name not in _HOMES:
        raise AttributeError(f"module 'oneslice' has no attribute {name!r}")
    return getattr(import_module(f"oneslice.{_HOMES[name]}"), name)
