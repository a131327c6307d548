"""Training state on disk: tensors in safetensors shards of bounded size, counters in JSON."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

SHARD_BYTES = 15_000_000


def save_shards(tensors: dict[str, Tensor], folder: Path, stem: str) -> None:
    """Writes ``stem-000.safetensors`` and so on, each at most SHARD_BYTES of tensors."""
    shard: dict[str, Tensor] = {}
    count = size = 0
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        weight = tensor.numel() * tensor.element_size()
        if shard and size + weight > SHARD_BYTES:
            save_file(shard, folder / f"{stem}-{count:03d}.safetensors")
            shard, size, count = {}, 0, count + 1
        shard[name] = tensor.clone()
        size += weight
    save_file(shard, folder / f"{stem}-{count:03d}.safetensors")


def load_shards(folder: Path, stem: str) -> dict[str, Tensor]:
    """Reads all shards of one stem."""
    tensors: dict[str, Tensor] = {}
    for path in sorted(folder.glob(f"{stem}-*.safetensors")):
        tensors.update(load_file(path))
    return tensors


def optimiser_tensors(optimiser: torch.optim.Optimizer, names: dict[int, str]) -> dict[str, Tensor]:
    """Flat view of an optimiser's state, keyed by parameter name and entry."""
    flat: dict[str, Tensor] = {}
    for parameter, entries in optimiser.state.items():
        for key, value in entries.items():
            flat[f"{names[id(parameter)]}|{key}"] = torch.as_tensor(value)
    return flat


def restore_optimiser(
    optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor], names: dict[int, str]
) -> None:
    """The inverse of :func:`optimiser_tensors`."""
    entries: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, entry = key.rsplit("|", 1)
        entries.setdefault(name, {})[entry] = value
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            saved = entries.get(names[id(parameter)])
            if saved:
                optimiser.state[parameter] = {
                    k: v if k == "step" else v.to(parameter.device) for k, v in saved.items()
                }


def replace_folder(fresh: Path, target: Path) -> None:
    """Puts a completely written folder in the place of the old one."""
    old = target.with_name(target.name + ".old")
    if old.exists():
        shutil.rmtree(old)
    if target.exists():
        target.rename(old)
    fresh.rename(target)
    if old.exists():
        shutil.rmtree(old)


def write_json(path: Path, values: Mapping[str, float]) -> None:
    path.write_text(json.dumps(values, indent=1) + "\n")


def read_json(path: Path) -> dict[str, float]:
    return json.loads(path.read_text())
