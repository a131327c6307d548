"""The JSON file beside a label map that keeps what the label map's own format cannot."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from oneslice.errors import InputError
from oneslice.formats.suffixes import stem_of
from oneslice.volume import Structure


def sidecar_path(label_file: Path) -> Path:
    """``liver.nii.gz`` -> ``liver.json``, in the same folder."""
    return label_file.with_name(f"{stem_of(label_file)}.json")


def describe_structures(structures: Iterable[Structure]) -> list[dict[str, Any]]:
    """What a sidecar holds under ``"structures"``."""
    return [{"value": s.value, "name": s.name, "color": list(s.color)} for s in structures]


def has_sidecar(label_file: Path) -> bool:
    """Whether a sidecar of ours lies beside the file, which makes it a label map, not a scan."""
    try:
        content = json.loads(sidecar_path(label_file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and "structures" in content


def read_sidecar(label_file: Path) -> tuple[Structure, ...]:
    """The structures that the sidecar names; none if there is no sidecar of ours.

    Raises:
        InputError: a sidecar that was edited into something unreadable.

    """
    if not has_sidecar(label_file):
        return ()
    path = sidecar_path(label_file)
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["structures"]
        return tuple(_structure(entry) for entry in entries)
    except (InputError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f'{path}: "structures" must be a list of {{"value": 1, "name": "liver", '
            '"color": [255, 0, 0]}; mend it or remove the file'
        ) from error


def _structure(entry: dict[str, Any]) -> Structure:
    red, green, blue = (int(channel) for channel in entry["color"])
    return Structure(int(entry["value"]), str(entry["name"]), (red, green, blue))
