"""A run's folder: one file for each case, so that a killed run goes on where it was."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from oneslice.errors import InputError
from oneslice.evaluation.plan import Extents, Status
from oneslice.evaluation.scoring import Score
from oneslice.formats import write_text_atomically

MANIFEST = "manifest.json"
_SAFE = " ,()+="  # in file names, besides letters and digits; no two names become one
RunSettings = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Unit:
    """One piece of work.

    Args:
        variant: the row of the table.
        extents: what the method is told.
        fold: the fold's number.
        case: the query's identity.
        support: the support's identity.
    """

    variant: str
    extents: Extents
    fold: int
    case: str
    support: str

    @property
    def stem(self) -> Path:
        """Where its files lie in the run's folder, without suffix."""
        variant, case = (quote(name, safe=_SAFE) for name in (self.variant, self.case))
        return Path(variant) / self.extents / f"fold{self.fold}-{case}"


@dataclass(frozen=True)
class CaseResult:
    """What is kept of a unit.

    Args:
        unit: which.
        scores: one for each structure.
        seconds: the method took for all structures of the scan.
        peak_mib: the process's largest memory meanwhile, None where the system does not say.
    """

    unit: Unit
    scores: tuple[Score, ...]
    seconds: float
    peak_mib: float | None


class RunFolder:
    """Where a run keeps what it has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, settings: RunSettings, manifest: dict[str, Any]) -> None:
        """Write the manifest, or take up the run that left one.

        Args:
            settings: by group and name, what results depend on. A run that is taken up may add
                names, such as methods or scans, but those it shares must be the same.
            manifest: the rest. What an earlier start wrote stays; one that differs is added to
                ``resumed``.

        Raises:
            InputError: the folder holds a run with other settings, or its manifest is damaged.

        """
        path = self.folder / MANIFEST
        before = _read_manifest(path) if path.exists() else {}
        known: RunSettings = before.get("settings", {})
        changed = [name for group in settings for name in _changed(known, settings, group)]
        if changed:
            raise InputError(
                f"{self.folder}: holds a run with another {', '.join(changed)}; choose another "
                "--output, or repeat the settings in its manifest.json"
            )
        merged = {group: known.get(group, {}) | settings[group] for group in settings}
        text = json.dumps({"settings": merged} | _starts(before, manifest), indent=1) + "\n"
        write_text_atomically(path, text, overwrite=True)

    def load(self, unit: Unit) -> CaseResult | None:
        """The result of a unit; None if there is none yet, or one by another support.

        A damaged file counts as none.
        """
        path = self._path(unit)
        if not path.exists():
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["unit"] != asdict(unit):
                return None
            scores = tuple(
                Score(**score | {"status": Status(score["status"])}) for score in content["scores"]
            )
            return CaseResult(unit, scores, content["seconds"], content["peak_mib"])
        except (KeyError, TypeError, ValueError):
            return None

    def save(self, result: CaseResult) -> None:
        """Keep a result; the file is either whole or absent."""
        text = json.dumps(asdict(result), indent=1) + "\n"
        write_text_atomically(self._path(result.unit), text, overwrite=True)

    def write(self, name: str, text: str) -> Path:
        """Write one of the run's summaries."""
        write_text_atomically(self.folder / name, text, overwrite=True)
        return self.folder / name

    def prediction(self, unit: Unit) -> Path:
        """Where the predicted label map of a unit belongs."""
        stem = self.folder / "predictions" / unit.stem
        return stem.with_name(f"{stem.name}.nii.gz")

    def _path(self, unit: Unit) -> Path:
        stem = self.folder / "cases" / unit.stem
        return stem.with_name(f"{stem.name}.json")


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if all(isinstance(group, dict) for group in content["settings"].values()):
            return content
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    raise InputError(
        f"{path}: is damaged; choose another --output, or delete it if the results beside it were "
        "measured with the same settings"
    )


def _starts(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The first start of a run, and those later ones that differ from all before them."""
    first = {name: before.get(name, value) for name, value in now.items()}
    resumed = before.get("resumed", [])
    if now not in (first, *resumed):
        resumed = [*resumed, now]
    return first | ({"resumed": resumed} if resumed else {})


def _changed(known: RunSettings, settings: RunSettings, group: str) -> list[str]:
    """What differs in a group; of a method, which of its settings."""
    before, now = known.get(group, {}), settings[group]
    changed = [name for name in before if name in now and before[name] != now[name]]
    return [text for name in changed for text in _parts(name, before[name], now[name])]


def _parts(name: str, before: Any, now: Any) -> list[str]:
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return [name]
    return [f"{key} of {name}" for key in before | now if before.get(key) != now.get(key)]
