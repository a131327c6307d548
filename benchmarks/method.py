"""The method that oneslice and its peers have in common."""

from __future__ import annotations

from oneslice import Settings
from oneslice.augment import Augmentations


def like_for_like(augmentations: int, memory: int = Settings.memory) -> Settings:
    """Matched augmentations, each slice by itself, as the peers do it; ``memory`` in MiB."""
    return Settings(
        search="pool",
        strategy="pairwise",
        augmentations=Augmentations(augmentations),
        memory=memory,
    )
