"""Load a checkpoint folder in the format of transformers: ``config.json`` and the weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneslice.errors import ModelError, first_line
from oneslice.sam2.image_size import native_image_size, set_image_size
from oneslice.sam2.network import build_network
from oneslice.sam2.weights_file import read_weights

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import Sam2VideoModel

MODEL_TYPE = "sam2_video"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
# Two names of one tensor: a file may hold it once.
POSITIONS = (
    "shared_image_embedding.positional_embedding",
    "prompt_encoder.shared_embedding.positional_embedding",
)


def load_folder(folder: Path, image_size: int | None = None) -> tuple[Sam2VideoModel, int]:
    """The model in a folder, and the image size that it was made for.

    Raises:
        ModelError: the folder holds no complete SAM 2 video model.
    """
    from transformers import Sam2VideoConfig

    content = _read_config(folder)
    try:
        config = Sam2VideoConfig.from_dict(content)
        native = native_image_size(config)
    except Exception as error:  # whatever a damaged description makes the library raise
        raise ModelError(
            f"{folder / CONFIG} does not describe a SAM 2 model ({first_line(error)}): fetch or "
            "copy it again"
        ) from error
    if image_size is not None:
        set_image_size(config, image_size)
    weights = _with_shared_positions(read_weights(_weights_of(folder)))
    return build_network(config, weights, folder), native


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"{folder} has no {CONFIG}: pass a folder in transformers' format, or a .pt file"
        ) from error
    except ValueError as error:
        raise ModelError(f"{folder / CONFIG} is damaged: fetch or copy it again") from error
    kind = content.get("model_type") if isinstance(content, dict) else None
    if kind != MODEL_TYPE:
        raise ModelError(
            f"{folder} holds a model of type {kind!r}, not SAM 2 for videos ({MODEL_TYPE!r}): "
            "see `oneslice models list` for models that work"
        )
    return content


def _weights_of(folder: Path) -> Path:
    weights = folder / WEIGHTS
    if not weights.exists():
        raise ModelError(f"{folder} has no {WEIGHTS}: copy it beside {CONFIG}")
    return weights


def _with_shared_positions(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    found = [weights[key] for key in POSITIONS if key in weights]
    return {**dict.fromkeys(POSITIONS, found[0]), **weights} if found else weights
