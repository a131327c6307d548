"""What oneslice remembers of a user: the default model and the hashes of downloaded weights."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from oneslice.errors import InputError

FOLDER_VARIABLE = "ONESLICE_CONFIG_DIR"


def config_folder() -> Path:
    """The user's configuration folder; the variable ``ONESLICE_CONFIG_DIR`` overrides it."""
    override = os.environ.get(FOLDER_VARIABLE)
    if override:
        return Path(override)
    import platformdirs

    return platformdirs.user_config_path("oneslice", appauthor=False)


def config_file() -> Path:
    """The file that holds the settings; it need not exist."""
    return config_folder() / "config.json"


def default_model() -> str | None:
    """The model used where none is named, or None if the user has not chosen one."""
    model = _read().get("default_model")
    return str(model) if model else None


def set_default_model(name: str | None) -> None:
    """Choose the model used where none is named; None forgets the choice."""
    settings = _read()
    settings.pop("default_model", None)
    if name:
        settings["default_model"] = name
    _write(settings)


def recorded_hash(name: str) -> str | None:
    """The hash of a model's weights when they were first downloaded, or None."""
    recorded = _read().get("hashes", {}).get(name)
    return str(recorded) if recorded else None


def record_hash(name: str, sha256: str) -> None:
    """Remember the hash of a model's weights."""
    settings = _read()
    settings["hashes"] = {**settings.get("hashes", {}), name: sha256}
    _write(settings)


def _read() -> dict[str, Any]:
    try:
        settings = json.loads(config_file().read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise InputError(
            f"the settings in {config_file()} cannot be read: mend or delete the file"
        ) from error
    if not isinstance(settings, dict) or not isinstance(settings.get("hashes", {}), dict):
        raise InputError(f"the settings in {config_file()} are damaged: delete the file")
    return settings


def _write(settings: dict[str, Any]) -> None:
    from oneslice.formats import write_text_atomically

    text = json.dumps(settings, indent=2, sort_keys=True) + "\n"
    try:
        write_text_atomically(config_file(), text, overwrite=True)
    except InputError as error:
        raise InputError(
            f"{error}: set {FOLDER_VARIABLE} to a folder that can be written"
        ) from error
