"""Read the tensors of a checkpoint file without ever running code that the file carries."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from oneslice.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

CONTAINERS = ("model", "state_dict", "model_state_dict")
WRAPPERS = ("module.", "_orig_mod.")


def file_hash(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_weights(path: Path) -> dict[str, Tensor]:
    """The named tensors of a ``.pt`` or ``.safetensors`` file, as 32-bit floats.

    A state dict may lie bare in the file or under ``model`` or ``state_dict``, as training code
    saves it; the prefixes that wrappers for many devices and compilers leave are taken off.

    Raises:
        ModelError: the file is corrupt, holds pickled code or holds no tensors by name.
    """
    if path.suffix == ".safetensors":
        return _named_tensors(_load_safetensors(path), path)
    return _named_tensors(_load_pickle(path), path)


def _load_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise _corrupt(path) from error


def _load_pickle(path: Path) -> Any:
    import torch

    try:
        with warnings.catch_warnings():  # the one-line error says it better
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        if "GLOBAL" not in str(error):
            raise _corrupt(path) from error
        raise ModelError(
            f"{path} holds pickled Python objects, which are not loaded because they can run any "
            "code: save the weights alone with torch.save(model.state_dict(), ...)"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise _corrupt(path) from error


def _corrupt(path: Path) -> ModelError:
    return ModelError(f"{path} is truncated, corrupt or no checkpoint: fetch or copy it again")


def _named_tensors(content: Any, path: Path) -> dict[str, Tensor]:
    import torch

    for container in CONTAINERS:
        if isinstance(content, dict) and isinstance(content.get(container), dict):
            content = content[container]
            break
    if not isinstance(content, dict) or not content:
        raise _without_tensors(path)
    if not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise _without_tensors(path)
    return {
        _unwrapped(str(key)): value.float() if value.is_floating_point() else value
        for key, value in content.items()
    }


def _without_tensors(path: Path) -> ModelError:
    return ModelError(
        f"{path} is not a plain state dict (names of weights and their tensors): save one with "
        "torch.save(model.state_dict(), ...)"
    )


def _unwrapped(key: str) -> str:
    for wrapper in WRAPPERS:
        key = key.removeprefix(wrapper)
    return key
