"""Find the files of a checkpoint, by name or path, without reading or downloading them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from oneslice.errors import ModelError, OfflineError
from oneslice.sam2 import hub
from oneslice.sam2.registry import (
    LICENCE,
    MINI,
    MINI_FOLDER,
    NAMES,
    OfficialModel,
    official_model,
    similar_names,
)

FILE_TYPES = (".pt", ".pth", ".bin", ".safetensors")


@dataclass(frozen=True)
class Location:
    """A checkpoint on this machine.

    Args:
        name: the short name, or the name of the folder or file.
        reference: what to pass to find it again from anywhere: the short name or the full path.
        source: what the name stands for, in words.
        path: a folder in transformers' format, or a file in the format of Meta's code.
        licence: the licence of the weights, where it is known.
        official: the published checkpoint that it is a copy of.
    """

    name: str
    reference: str
    source: str
    path: Path
    licence: str | None = None
    official: OfficialModel | None = None

    @property
    def weights(self) -> Path:
        """The file that holds the weights."""
        return self.path / hub.WEIGHTS if self.path.is_dir() else self.path


def locate(name_or_path: str | Path, *, offline: bool = False) -> Location:
    """Find a checkpoint; a name wins over a file of that name, which is reached as ``./name``.

    Raises:
        ModelError: there is no such checkpoint on this machine.
        OfflineError: it is an official one, not downloaded yet, and ``offline`` is set.
    """
    if not isinstance(name_or_path, str | Path):
        raise ModelError(f"a model is a name or a path, not {name_or_path!r}")
    if isinstance(name_or_path, Path):
        return _locate_path(name_or_path.expanduser())
    if name_or_path.lower() == MINI:
        return Location(MINI, MINI, "shipped with oneslice", MINI_FOLDER, LICENCE)
    official = official_model(name_or_path)
    if official is not None:
        return _locate_official(official, offline)
    path = Path(name_or_path).expanduser()
    if not name_or_path.strip():
        raise _unknown(name_or_path)
    if path.exists() or path.suffix.lower() in FILE_TYPES or path.name != name_or_path:
        return _locate_path(path)
    raise _unknown(name_or_path)


def require_official(name: str) -> OfficialModel:
    """The official checkpoint of that name.

    Raises:
        ModelError: there is none.
    """
    official = official_model(name)
    if official is not None:
        return official
    if name.lower() == MINI:
        raise ModelError(f"{MINI} is part of oneslice and needs no download: use it as it is")
    raise _unknown(name)


def _locate_official(model: OfficialModel, offline: bool) -> Location:
    folder = hub.cached_folder(model)
    if folder is not None:
        source = f"{model.repository} at revision {model.revision}"
        return Location(model.name, model.name, source, folder, LICENCE, model)
    if offline:
        raise OfflineError(
            f"{model.name} is not downloaded and offline mode forbids it: run `oneslice models "
            f"download {model.name}` where there is a network, or {hub.by_hand(model)}"
        )
    raise ModelError(f"{model.name} is not downloaded: run `oneslice models download {model.name}`")


def _locate_path(path: Path) -> Location:
    if not path.exists():
        raise ModelError(
            f"there is no checkpoint at {path}: check the path, or see `oneslice models list`"
        )
    if path.name == hub.WEIGHTS and (path.parent / "config.json").exists():
        path = path.parent
    kind = "folder in transformers' format" if path.is_dir() else "file of weights"
    path = path.resolve()
    return Location(path.name if path.is_dir() else path.stem, str(path), kind, path)


def _unknown(name: str) -> ModelError:
    similar = similar_names(name)
    hint = f"did you mean {' or '.join(similar)}?" if similar else f"names are {', '.join(NAMES)};"
    return ModelError(f"unknown model {name!r}: {hint} a folder or a .pt file will do, too")
