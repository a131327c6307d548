"""Load a file of weights in the format of Meta's SAM 2 code, official or fine-tuned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oneslice.errors import ModelError
from oneslice.sam2.image_size import set_image_size
from oneslice.sam2.meta_config import NATIVE_SIZE, config_of_weights
from oneslice.sam2.meta_keys import rename_weights
from oneslice.sam2.network import build_network
from oneslice.sam2.weights_file import read_weights

if TYPE_CHECKING:
    from transformers import Sam2VideoModel

TELLTALE = ("image_encoder.trunk.patch_embed.proj.weight", "maskmem_tpos_enc")


def load_meta_file(path: Path, image_size: int | None = None) -> tuple[Sam2VideoModel, int]:
    """The model in a file, and the image size that the published ones were trained at.

    Raises:
        ModelError: the file holds no complete SAM 2 model.
    """
    weights = read_weights(path)
    if any(key not in weights for key in TELLTALE):
        raise ModelError(
            f"{path} holds {len(weights)} weights that are not SAM 2's (no {TELLTALE[0]!r}): "
            "see `oneslice models list` for models that work"
        )
    config = config_of_weights(weights)
    if image_size is not None:
        set_image_size(config, image_size)
    return build_network(config, rename_weights(weights), path), NATIVE_SIZE
