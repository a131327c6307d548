"""Many scans, one after another, and what became of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneslice.errors import OneSliceError
from oneslice.existing import Making, is_done, refuse_existing
from oneslice.formats import files_of, read_volume, refuse_format
from oneslice.jobs import Job
from oneslice.provenance import data_hash

if TYPE_CHECKING:
    from oneslice.segmentation import Doubt, Segmentation
    from oneslice.segmenter import Segmenter
    from oneslice.support import Support


@dataclass(frozen=True)
class Reading:
    """How scans are read: see ``read_volume``; ``axis`` overrides the slice axis."""

    series: str | None = None
    frame: int | None = None
    axis: int | None = None


@dataclass(frozen=True)
class CaseReport:
    """What became of one scan.

    Args:
        volumes: millilitres of each structure.
        doubts: of each structure the slice to look at, the worst first.
        error: why there is no output; None if there is.
    """

    scan: Path
    target: Path
    seconds: float
    volumes: dict[str, float] = field(default_factory=dict)
    doubts: Sequence[Doubt] = ()
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        output = None if self.error else str(self.target)
        return {
            "scan": str(self.scan),
            "output": output,
            "seconds": round(self.seconds, 2),
            "millilitres": self.volumes,
            "least_certain": [
                {
                    "structure": doubt.structure.name,
                    "slice": doubt.slice,
                    "confidence": round(doubt.confidence, 4),
                }
                for doubt in self.doubts
            ],
            "error": self.error,
        }


def run_jobs(
    segmenter: Segmenter,
    jobs: Sequence[Job],
    support: Support | Sequence[Support],
    *,
    reading: Reading | None = None,
    overwrite: bool = False,
    skip_existing: bool = False,
    progress: Callable[[Job, int, int], None] | None = None,
) -> Iterator[CaseReport]:
    """Segment and save each scan; one that fails is reported and the others go on.

    With ``skip_existing`` what is done, by another process meanwhile too, is passed over; with
    ``overwrite`` as well, only if it was made with the same labels, options and model.
    """
    from oneslice.arguments import as_supports

    reading = reading or Reading()
    making = Making(as_supports(support), segmenter.settings, segmenter.checkpoint.sha256)
    wanted = making if overwrite else None
    for job in jobs:
        if skip_existing and is_done(job, wanted):
            continue
        start = time.perf_counter()
        found: tuple[dict[str, float], list[Doubt], str | None]
        try:
            refuse_existing(job, overwrite)
            volume = read_volume(job.scan, series=reading.series, frame=reading.frame)
            refuse_format(volume, job.target)
            digest = data_hash(files_of(job.scan))
            segmentation = segmenter.segment(
                volume,
                support,
                axis=reading.axis,
                progress=None if progress is None else _for_job(progress, job),
            )
            record = {"scan_sha256": digest} | segmentation.record
            replace(segmentation, record=record).save(job.target, overwrite=overwrite)
            found = millilitres(segmentation), segmentation.doubts, None
        except Exception as failure:  # whatever it is, the other scans must not suffer
            if skip_existing and is_done(job, wanted):  # by another process
                continue
            found = {}, [], _in_words(failure)
        yield CaseReport(job.scan, job.target, time.perf_counter() - start, *found)


def _in_words(failure: Exception) -> str:
    if isinstance(failure, OneSliceError):
        return str(failure)
    return f"{type(failure).__name__}: {failure}"


def _for_job(progress: Callable[[Job, int, int], None], job: Job) -> Callable[[int, int], None]:
    return lambda done, total: progress(job, done, total)


def millilitres(segmentation: Segmentation) -> dict[str, float]:
    """The volume of each structure, to four digits."""
    import numpy as np

    counts = np.bincount(segmentation.array.ravel(), minlength=1 + _largest(segmentation))
    voxel = float(np.prod(segmentation.geometry.spacing)) / 1000
    return {s.name: float(f"{counts[s.value] * voxel:.4g}") for s in segmentation.structures}


def _largest(segmentation: Segmentation) -> int:
    return max(structure.value for structure in segmentation.structures)
