"""Results that are there already: of which scan they are, and what they were made with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneslice.errors import InputError
from oneslice.formats import files_of, sidecar_path
from oneslice.jobs import Job
from oneslice.provenance import data_hash

if TYPE_CHECKING:
    from oneslice.settings import Settings
    from oneslice.support import Support


@dataclass(frozen=True)
class Making:
    """What results are made with.

    Args:
        supports: the labelled slices.
        settings: how to segment.
        checkpoint: the SHA-256 of the weights.
    """

    supports: Sequence[Support]
    settings: Settings
    checkpoint: str

    def differs(self, record: dict[str, Any]) -> list[str]:
        """In what a result with this record was made otherwise: its labels, options or model."""
        labels = [support.get("sha256") for support in record.get("supports", [])]
        alike = {
            "labels": labels == [support.sha256 for support in self.supports],
            "options": record.get("settings") == self.settings.describe(),
            "model": record.get("checkpoint", {}).get("sha256") == self.checkpoint,
        }
        return [name for name, same in alike.items() if not same]


def is_done(job: Job, making: Making | None = None) -> bool:
    """Whether the scan's result and its record are there already; made so, if that is asked."""
    record = _record(job)
    there = _is_of(record, job.scan) and job.target.stat().st_size > 0
    return there and not (making and making.differs(record))


def made_otherwise(job: Job, making: Making) -> list[str]:
    """In what a result that is there was made otherwise: labels, options, model."""
    return making.differs(_record(job))


def _record(job: Job) -> dict[str, Any]:
    """The record beside the output; nothing if there is none."""
    try:
        found = json.loads(sidecar_path(job.target).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) and job.target.is_file() else {}
    except (OSError, ValueError):
        return {}


def _is_of(record: dict[str, Any], scan: Path) -> bool:
    """Whether a record is of a scan, which may have been moved since."""
    recorded = str(record.get("scan", ""))
    if not recorded or Path(recorded).exists():
        return recorded == str(scan.resolve())
    return scan.exists() and record.get("scan_sha256") == data_hash(files_of(scan))


def refuse_existing(job: Job, overwrite: bool) -> None:
    """Raise before any work is done if the output is there already."""
    there = [path for path in (job.target, sidecar_path(job.target)) if path.exists()]
    if overwrite or not there:
        return
    record = _record(job)
    if is_done(job):
        advice = "; add --overwrite to replace it, or --skip-existing to keep it"
    elif record.get("scan") and not _is_of(record, job.scan):
        advice = f" and is of {record['scan']}; choose another folder or name with -o"
    else:
        advice = " without what belongs to it; move it away, or add --overwrite to replace it"
    raise InputError(f"{there[0]}: exists already{advice}")
