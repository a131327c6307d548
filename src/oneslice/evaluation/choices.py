"""The words that people choose between when they measure; light, as ``oneslice.choices`` is."""

from __future__ import annotations

from enum import StrEnum

TOLERANCE = 2.0  # of NSD, mm


class Ablation(StrEnum):
    """What is varied, all else being equal."""

    AUGMENTATIONS = "augmentations"
    METRIC = "metric"
    STRATEGY = "strategy"
    SEARCH = "search"
    PARTS = "parts"
    SHOTS = "shots"
    IMAGE_SIZE = "image-size"
    MODEL = "model"


class MethodName(StrEnum):
    """What can be run."""

    COPY = "copy"
    REGISTRATION = "registration"
    SAM2_PLAIN = "sam2-plain"
    PAPER = "paper"
    ONESLICE = "oneslice"

    @property
    def uses_model(self) -> bool:
        """Whether it needs a SAM 2 checkpoint."""
        return self not in (MethodName.COPY, MethodName.REGISTRATION)
