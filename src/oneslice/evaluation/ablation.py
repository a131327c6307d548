"""What an ablation varies; a module of its own, so that ``--help`` can name it cheaply."""

from __future__ import annotations

from enum import StrEnum


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
