"""The side of the square image a SAM 2 network sees: no stored weight depends on it.

Position embeddings of the image encoder are interpolated from a small stored grid, all other
positions are computed; only sizes noted in the configuration have to follow.
"""

from __future__ import annotations

from typing import Any

from oneslice.checks import whole
from oneslice.errors import InputError

_STEP, _LARGEST = 32, 4096


def native_image_size(config: Any) -> int:
    """The image size that a ``Sam2VideoConfig`` was made for."""
    size = config.image_size
    return int(size if isinstance(size, int) else size[0])


def set_image_size(config: Any, image_size: int) -> None:
    """Change a ``Sam2VideoConfig``, in place, to another image size.

    Raises:
        InputError: the size is not a multiple of 32 from 32 to 4096.
    """
    image_size = whole(image_size, "the image size", _STEP, _LARGEST)
    if image_size % _STEP:
        nearest = round(image_size / _STEP) * _STEP
        raise InputError(
            f"the image size {image_size} is not a multiple of {_STEP}: use {nearest}, for instance"
        )
    native = native_image_size(config)
    vision = config.vision_config
    sizes = [[side * image_size // native for side in level] for level in _feature_sizes(vision)]
    vision.backbone_feature_sizes = sizes
    vision.backbone_config.image_size = [image_size, image_size]
    config.memory_attention_rope_feat_sizes = list(sizes[-1])
    config.prompt_encoder_config.image_size = image_size
    config.image_size = image_size


def _feature_sizes(vision: Any) -> list[list[int]]:
    return [list(level) for level in vision.backbone_feature_sizes]
