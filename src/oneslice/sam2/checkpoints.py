"""Load a checkpoint by name or path as transformers' ``Sam2VideoModel``.

A name or path is one of

* ``mini``, the small checkpoint inside the package;
* the short name of an official checkpoint, such as ``sam2.1-tiny``, downloaded beforehand;
* a folder in transformers' format (``config.json`` and ``model.safetensors``);
* a ``.pt`` (or ``.safetensors``) file in the format of Meta's code, official or fine-tuned.

Loading never downloads anything and never runs code that a file carries.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oneslice.errors import ModelError
from oneslice.sam2 import hub
from oneslice.sam2.locate import locate
from oneslice.sam2.meta_file import load_meta_file
from oneslice.sam2.transformers_folder import load_folder
from oneslice.sam2.weights_file import file_hash

if TYPE_CHECKING:
    import torch
    from transformers import Sam2VideoModel


@dataclass(frozen=True)
class CheckpointInfo:
    """Where weights came from, and what they are.

    Args:
        name: the short name, or the name of the folder or file.
        sha256: the hash of the file of weights.
        source: what the name stands for, in words.
        path: the folder or file that was read.
        parameters: the number of weights.
        image_size: the image size the weights were trained at, as far as the files say it.
    """

    name: str
    sha256: str
    source: str
    path: Path
    parameters: int
    image_size: int


def load_model(
    name_or_path: str | Path,
    *,
    offline: bool = False,
    image_size: int | None = None,
    device: str | torch.device = "cpu",
) -> tuple[Sam2VideoModel, CheckpointInfo]:
    """Load a checkpoint for inference, in 32-bit floats.

    Args:
        name_or_path: a short name, a folder or a file; see the module's docstring.
        offline: only changes what the error says where a checkpoint is not downloaded yet.
        image_size: the side of the images to segment, a multiple of 32; by default the native one.
        device: where the model shall run.

    Raises:
        ModelError: the checkpoint is unknown, missing, corrupt or not of the SAM 2 family.
        OfflineError: it is not downloaded and ``offline`` is set.
        InputError: If ``image_size`` is not a multiple of 32.
    """
    found = locate(name_or_path, offline=offline)
    try:
        load = load_folder if found.path.is_dir() else load_meta_file
        model, native = load(found.path, image_size)
        sha256 = file_hash(found.weights)
    except OSError as error:
        raise ModelError(f"{found.path} cannot be read: {error.strerror or error}") from error
    if found.official is not None:
        hub.check_hash(found.official, sha256)
    parameters = sum(weight.numel() for weight in model.parameters())
    info = CheckpointInfo(found.name, sha256, found.source, found.path, parameters, native)
    return model.eval().to(device), info
